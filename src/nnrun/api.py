"""The same from Python, for notebooks."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from nnrun.ensemble import reading
from nnrun.ensemble.members import is_ensemble
from nnrun.ensemble.predictor import Predictor, load_predictor
from nnrun.record import metrics, pointer, run
from nnrun.record.weights_from import Beginning
from nnrun.report.summary import read_summary
from nnrun.runner import evaluation, folds, folds_evaluation, session
from nnrun.runner.evaluation import EvaluationResult
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
    run_dir: str | Path, split: str = "test", checkpoint: str | int = "best", *, samples: int = 0
) -> EvaluationResult:
    """Metrics of a run or an ensemble on a part of its data, as `nnrun evaluate --json` prints them.

    split        train, val or test
    checkpoint   last, best (by validation), or a step that has one
    samples      predictions averaged over this many draws of the noise (Monte-Carlo dropout); 0: without noise
    Raises the errors of nnrun.errors.
    """
    folder = run.resolve(str(run_dir))
    if is_ensemble(folder) and not samples:
        return reading.evaluate_ensemble(folder, split, str(checkpoint), warnings.warn, _uncounted)
    return folds_evaluation.evaluate(folder, split, str(checkpoint), warnings.warn, samples)


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
    content = evaluation.load_checkpoint(folder, "last", warnings.warn)
    tree: dict[str, Tree] = {}
    for name, array in content.arrays.items():
        if name.startswith("params/"):
            *parents, last = name.split("/")[1:]
            node = tree
            for parent in parents:
                node = node.setdefault(parent, {})
            node[last] = array
    return tree
