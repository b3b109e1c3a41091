"""Runs: trained, continued, and what they left behind."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import numpy as np

from nnrun import catalog
from nnrun.api._frames import frame_of_columns
from nnrun.errors import one_line
from nnrun.record import metrics, run
from nnrun.record.names import METRICS
from nnrun.record.summary import Summary
from nnrun.record.weights_from import Beginning
from nnrun.report import summary as summaries
from nnrun.report.plain_text import as_text
from nnrun.report.summary import read_summary
from nnrun.runner import folds, session
from nnrun.runner.evaluation import load_checkpoint
from nnrun.runner.leaves import request_of
from nnrun.runner.warm_start import warm_start
from nnrun.track.beside import tracked
from nnrun.types import Tree

if TYPE_CHECKING:
    from pandas import DataFrame  # pyright: ignore[reportMissingImports]

__all__ = ["Result", "resume", "train"]


class Result(NamedTuple):
    """A finished run, or a finished group of seeds or folds; it prints as `nnrun train` ends."""

    run_dir: Path
    status: str  # done or diverged
    summary: dict[str, Any]  # as summary.json
    metrics: dict[str, tuple[np.ndarray, np.ndarray]]  # name -> steps (n,) and values (n,); {} for a group
    params: Tree  # nested dicts of arrays after the last good step; {} for a group, or where there is none
    runs: list[Result]  # of a group, one for each seed or fold

    def __repr__(self) -> str:
        ended = cast("Summary", self.summary)
        stop = [line] if (line := summaries.stop_line(ended)) else []
        place = f"run folder: {one_line(self.run_dir)}"
        return as_text(summaries.headline(ended), *stop, *summaries.warnings(ended), place)

    def to_pandas(self) -> DataFrame:
        """Metrics by step: a column `step` and one for each metric, NaN where it was not logged.

        Of a group, the rows of its runs one after another, behind a column `run`.
        """
        parts = self.runs or [self]
        tables = [_by_step(part.metrics) for part in parts]
        names = dict.fromkeys(name for table in tables for name in table)
        columns: dict[str, np.ndarray] = {}
        if self.runs:
            columns["run"] = np.repeat(
                [part.run_dir.name for part in parts], [len(table["step"]) for table in tables]
            )
        for name in names:
            rows = [table.get(name, np.full(len(table["step"]), np.nan)) for table in tables]
            columns[name] = np.concatenate(rows)
        return frame_of_columns(columns)


def _by_step(series: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> dict[str, np.ndarray]:
    """Each metric at all steps, NaN where it was not logged; the steps under `step`."""
    known = [steps for steps, _ in series.values()]
    steps = np.unique(np.concatenate([np.zeros(0, np.int64), *known]))
    columns = {"step": steps}
    for name, (at, values) in series.items():
        columns[name] = np.full(len(steps), np.nan)
        columns[name][np.searchsorted(steps, at)] = values
    return columns


def train(
    spec: str | Path,
    overrides: Sequence[str] = (),
    *,
    run_dir: str | Path | None = None,
    runs_root: str | Path = "runs",
    weights_from: str | Path | None = None,
    only: str | Sequence[str] = (),
    optimizer_state: str | None = None,
) -> Result:
    """Trains what a spec file describes, as `nnrun train` does, and returns when it is done.

    overrides   as on the command line: ["optimizer.learning_rate=3e-4", "train.seeds=5"]
    weights_from, only, optimizer_state   as --from, --from-only, --optimizer-state; the last two need the first
    run_dir     the exact run folder, which must not exist or be empty
    runs_root   else the folder in which a new run folder is made
    Raises the errors of nnrun.errors.
    """
    request = request_of(weights_from, only, optimizer_state, ("weights_from", "only", "optimizer_state"))
    prepared = session.prepare(Path(spec), overrides)
    for text in prepared.spec.track:  # a package that is missing is said before anything trains
        catalog.make_one("tracker", text, Path.cwd())
    root = Path(runs_root)
    beginnings: list[Beginning] = []
    if weights_from is not None:
        beginnings = warm_start(str(weights_from), root, prepared, request, warnings.warn)
    folder = session.create(prepared, Path(run_dir) if run_dir else None, root, beginnings=beginnings)
    with tracked(folder, prepared.spec.track, warnings.warn):
        for _ in folds.train(prepared, folder, warnings.warn):
            pass
    return _result(folder)


def resume(run_dir: str | Path, *, exact: bool = False) -> Result:
    """Continues an interrupted run, as `nnrun resume` does; a finished run is returned as it is.

    exact   refuse, with RunError, if versions, device or code have changed; other data always are
    Raises the errors of nnrun.errors.
    """
    folder = run.resolve(str(run_dir))
    if run.status(folder) == "done":
        return _result(folder)
    with tracked(folder, [], warnings.warn):
        for _ in folds.resume(folder, warnings.warn, exact):
            pass
    return _result(folder)


def _result(folder: Path) -> Result:
    members = run.members(folder)
    return Result(
        run_dir=folder,
        status=run.status(folder),
        summary=dict(read_summary(folder)),
        metrics={} if members else metrics.columns(metrics.read(folder / METRICS)),
        params={} if members else _params(folder),
        runs=[_result(member) for member in members],
    )


def _params(folder: Path) -> Tree:
    if not (folder / "checkpoints").is_dir():  # diverged before the first
        return {}
    content = load_checkpoint(folder, "last", warnings.warn)
    tree: dict[str, Tree] = {}
    for name, array in content.arrays.items():
        if name.startswith("params/"):
            *parents, last = name.split("/")[1:]
            node = tree
            for parent in parents:
                node = node.setdefault(parent, {})
            node[last] = array
    return tree
