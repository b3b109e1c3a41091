"""Metrics of a cross-validation on a part of its data: each fold with its own preprocessing and its own examples."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import cast

from nnrun.errors import RunError, Warn, one_line
from nnrun.record import run
from nnrun.runner import summary
from nnrun.runner.evaluation import EvaluationResult, GroupEvaluation, RunEvaluation, RunResult, evaluate_run
from nnrun.runner.folds_summary import division, mean_baseline
from nnrun.runner.group import folds_of, members
from nnrun.statistics.metric import all_bounds

__all__ = ["evaluate", "warn_of_best"]


def evaluate(folder: Path, split: str, which: str, warn: Warn, samples: int = 0) -> EvaluationResult:
    """`evaluate_run`, of a cross-validation fold by fold, with the mean over its folds.

    The validation part has an interval at the last step; the best step of a fold was chosen by that part.
    """
    if not folds_of(folder):
        return evaluate_run(folder, split, which, warn, samples)
    folds = members(folder)
    done = _done(folder, folds, warn)
    results = [cast(RunEvaluation, evaluate_run(fold, split, which, warn, samples)) for fold in done]
    if chosen := split == "val" and which == "best":
        warn_of_best(which, warn)
    divided = division(folds)
    averages = summary.average(
        [{which: result["metrics"]} for result in results],
        all_bounds(run.read_json(done[0] / "summary.json").get("bounds", {})),
        sections=(which,),
        independent=False,
        ratio=None if chosen or len(done) < len(folds) else divided["ratio"],
    )
    content: GroupEvaluation = {
        "run_dir": str(folder),
        "split": split,
        "checkpoint": which,
        "baseline": mean_baseline([result["baseline"] for result in results]),
        "folds": divided,
        "runs": [_of_run(result) for result in results],
        "mean": averages["mean"].get(which, {}),
        "ci95": averages["ci95"].get(which, {}),
    }
    return {**content, "samples": samples} if samples else content


def warn_of_best(which: str, warn: Warn) -> None:
    """Warns where the checkpoints of folds were chosen by the examples that they are measured on."""
    if which == "best":
        warn(
            "the best step of each fold was chosen by its validation part, so on that it looks too good; write "
            "--checkpoint last"
        )


def _of_run(result: RunEvaluation) -> RunResult:
    """The metrics of a fold without what was asked for, which is the same for all."""
    kept: RunResult = {"run_dir": result["run_dir"], "step": result["step"], "metrics": result["metrics"]}
    return {**kept, "undefined": result["undefined"]} if "undefined" in result else kept


def _done(folder: Path, folds: Sequence[Path], warn: Warn) -> list[Path]:
    """The folds that have ended and did not diverge.  Raises RunError where one has not ended."""
    statuses = {fold: run.status(fold) for fold in folds}
    if open_folds := [fold for fold, status in statuses.items() if status not in ("done", "diverged")]:
        raise RunError(
            f"{one_line(folder)}: {len(open_folds)} of {len(folds)} folds have not ended; `nnrun resume "
            f"{one_line(folder)}` continues"
        )
    done = [fold for fold, status in statuses.items() if status == "done"]
    if not done:
        raise RunError(
            f"{one_line(folder)}: all its folds diverged; train again with a smaller learning rate"
        )
    if len(done) < len(folds):
        warn(f"left out, for they diverged: {', '.join(str(fold) for fold in folds if fold not in done)}")
    return done
