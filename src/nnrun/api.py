"""The same from Python, for notebooks."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from nnrun.ensemble import evaluation as measuring
from nnrun.ensemble.predictor import Predictor, load_predictor
from nnrun.ensemble.request import Request
from nnrun.record import metrics, pointer, run
from nnrun.record.weights_from import Beginning
from nnrun.report.summary import read_summary
from nnrun.runner import folds, session
from nnrun.runner.evaluation import EvaluationResult, load_checkpoint
from nnrun.runner.leaves import request_of
from nnrun.runner.warm_start import warm_start
from nnrun.types import Tree

__all__ = ["Predictor", "Result", "evaluate", "load", "resume", "train"]


class Result(NamedTuple):
    """A finished run, or a finished group of seeds or folds."""

    run_dir: Path
    status: str  # done or diverged
    summary: dict[str, Any]  # as summary.json
    metrics: dict[str, tuple[np.ndarray, np.ndarray]]  # name -> steps (n,) and values (n,); {} for a group
    params: Tree  # nested dicts of arrays after the last good step; {} for a group, or where there is none
    runs: list[Result]  # of a group, one for each seed or fold


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
    root = Path(runs_root)
    beginnings: list[Beginning] = []
    if weights_from is not None:
        beginnings = warm_start(str(weights_from), root, prepared, request, warnings.warn)
    folder = session.create(prepared, Path(run_dir) if run_dir else None, root, beginnings=beginnings)
    for _ in folds.train(prepared, folder, warnings.warn):
        pass
    return _result(folder)


def resume(run_dir: str | Path, *, exact: bool = False) -> Result:
    """Goes on with an interrupted run, as `nnrun resume` does; a finished run is returned as it is.

    exact   refuse, with RunError, if versions, device or code have changed; other data always are
    Raises the errors of nnrun.errors.
    """
    folder = run.resolve(str(run_dir))
    if run.status(folder) == "done":
        return _result(folder)
    for _ in folds.resume(folder, warnings.warn, exact):
        pass
    return _result(folder)


def evaluate(
    run_dir: str | Path,
    split: str | None = None,
    checkpoint: str | int = "best",
    *,
    samples: int = 0,
    file: str | Path | None = None,
    target: str | None = None,
    metrics: Sequence[str] = (),
    calibrated: bool = False,
) -> EvaluationResult:
    """Metrics of a run or an ensemble on a part of its data or a file, as `nnrun evaluate --json` prints them.

    run_dir      a run, or RUN:STEP, RUN:ema, RUN:STEP:ema
    split        train, val or test; None: test, where there is no file
    checkpoint   last, best (by validation), or a step, where run_dir names none
    samples      predictions averaged over this many draws of the noise (Monte-Carlo dropout); 0: without noise
    file         new examples with their true values: a table, an .npz, or a folder of images
    target       the column, or array, of the true values in it; None: that of the run
    metrics      names of the catalogue, beside those of the run
    calibrated   whether probabilities have the temperature that fits the validation part
    Raises the errors of nnrun.errors.
    """
    name, step, average = pointer.split(str(run_dir), Path("runs"))
    source, which = None if file is None else Path(file), step or str(checkpoint)
    request = Request(source, split, which, average, target, calibrated, metrics, samples)
    return measuring.evaluate(run.resolve(name), request, warnings.warn, _uncounted).result


def load(run_dir: str | Path, checkpoint: str | int = "best", *, runs_root: str | Path = "runs") -> Predictor:
    """The model of a run or an ensemble, which predicts without its training data: `predict`, `predict_proba`, ...

    run_dir      a run, or RUN:STEP, RUN:ema, RUN:STEP:ema, as for `nnrun predict`
    checkpoint   last, best (by validation), or a step, where run_dir names none
    Raises the errors of nnrun.errors.
    """
    root = Path(runs_root)
    name, step, average = pointer.split(str(run_dir), root)
    return load_predictor(run.resolve(name, root), step or str(checkpoint), average, warnings.warn)


@contextmanager
def _uncounted(what: str, total: int | None) -> Iterator[Callable[[], None]]:
    """Nothing is shown of how far it is."""
    del what, total
    yield lambda: None


def _result(folder: Path) -> Result:
    members = run.members(folder)
    return Result(
        run_dir=folder,
        status=run.status(folder),
        summary=dict(read_summary(folder)),
        metrics={} if members else metrics.columns(metrics.read(folder / "metrics.jsonl")),
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
