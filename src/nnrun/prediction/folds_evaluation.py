"""Metrics of a cross-validation: each fold with its own preprocessing and its own examples, and their mean."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple, cast

from nnrun.data._files import STDIN
from nnrun.errors import RunError, SpecError, Warn, one_line
from nnrun.prediction.folds import warn_of_best
from nnrun.prediction.request import EvaluationRequest
from nnrun.record import run
from nnrun.record.names import SUMMARY
from nnrun.report.per_class import PerClass
from nnrun.report.per_label import PerLabel
from nnrun.runner import summary
from nnrun.runner.evaluation import Conditions, EvaluationResult, GroupEvaluation, RunEvaluation, RunResult
from nnrun.runner.folds_summary import division, mean_baseline
from nnrun.runner.group import members
from nnrun.statistics.metric import all_bounds

__all__ = ["EvaluateResult", "evaluate_folds"]


class EvaluateResult(NamedTuple):
    """Metrics, and how each class, or label, is predicted by run folder; {} for numbers."""

    result: EvaluationResult
    classes: dict[str, PerClass | PerLabel]


def evaluate_folds(
    folder: Path, request: EvaluationRequest, warn: Warn, evaluate: Callable[[Path], EvaluateResult]
) -> EvaluateResult:
    """The metrics of every fold and their mean.

    evaluate   of one fold
    The validation part has an interval at the last step; the best step of a fold was chosen by that part.  Other
    examples are the same for all folds, so how these differ says nothing of others.
    """
    if request.source == STDIN:
        raise SpecError(
            "-: standard input can be read once, and every fold reads it; write a file, or name a fold"
        )
    folds = members(folder)
    done = _done(folder, folds, warn)
    evaluated = [evaluate(fold) for fold in done]
    results = [cast(RunEvaluation, of_fold.result) for of_fold in evaluated]
    validated = request.source is None and request.part == "val"
    if validated:
        warn_of_best(request.which, warn)
    divided = division(folds)
    is_clean = validated and request.which != "best" and len(done) == len(folds)
    averages = summary.average(
        [{request.which: result["metrics"]} for result in results],
        all_bounds(run.read_json(done[0] / SUMMARY).get("bounds", {})),
        sections=(request.which,),
        independent=False,
        ratio=divided["ratio"] if is_clean else None,
    )
    content: GroupEvaluation = {
        "run_dir": str(folder),
        **_conditions(results[0]),
        "baseline": mean_baseline([result["baseline"] for result in results]),
        "folds": divided,
        "runs": [_of_run(result) for result in results],
        "mean": averages["mean"].get(request.which, {}),
        "ci95": averages["ci95"].get(request.which, {}),
    }
    return EvaluateResult(
        content, {place: table for of_fold in evaluated for place, table in of_fold.classes.items()}
    )


def _conditions(result: RunEvaluation) -> Conditions:
    """What the evaluation is of, which is the same for all folds."""
    return cast(
        Conditions, {key: value for key, value in result.items() if key in Conditions.__annotations__}
    )


def _of_run(result: RunEvaluation) -> RunResult:
    """The metrics of a fold without what all folds share."""
    return cast(RunResult, {key: value for key, value in result.items() if key in RunResult.__annotations__})


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
        warn(f"left out because they diverged: {', '.join(str(fold) for fold in folds if fold not in done)}")
    return done
