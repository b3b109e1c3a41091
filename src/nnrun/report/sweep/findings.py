"""What a sweep found out: the chosen setting of each alternative, compared on fresh seeds.

Settings are chosen by the validation metric alone; alternatives are then compared on the test part, with seeds
that no trial had.  Of an unfinished sweep it is the answer so far, and says what is missing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from nnrun.report.sweep.evidence import distinct, filled, importances, worst_value
from nnrun.report.sweep.examples import read_examples
from nnrun.report.sweep.folder import SweepRecord, TrialRecord
from nnrun.report.sweep.rows import AnswerRow, rows_of
from nnrun.report.sweep.searches import FreshRuns, comparisons, crossed
from nnrun.report.sweep.studies import Compared, best_of_studies, compared_over_studies
from nnrun.statistics.budget import BestOf, best_of_k, performance_profile, running_best
from nnrun.statistics.comparison import PairComparison
from nnrun.statistics.factors import Factors
from nnrun.statistics.importance import Importance
from nnrun.statistics.metric import Metric

__all__ = ["Answer", "BaseAnswer", "answer"]


class BaseAnswer(NamedTuple):
    """The alternatives on one base, best first; `metric` is what they are compared by.

    factors   the effects of what the alternatives are combinations of, None where they are none
    """

    base: str
    metric: Metric
    rows: list[AnswerRow]
    comparisons: list[PairComparison]
    target: float | None
    best_of: dict[str, list[BestOf]]
    importances: dict[str, list[Importance]]
    factors: Factors | None = None


class Answer(NamedTuple):
    """All of it; profile: alternative -> Dolan-Moré points of steps to the target, {} for a single base."""

    sweep: SweepRecord
    bases: list[BaseAnswer]
    profile: dict[str, list[tuple[float, float]]]


def answer(sweep: SweepRecord) -> Answer:
    """Computes the answer of a sweep; reads the curves of its final runs."""
    bases = [_base(sweep, base) for base in sweep.bases]
    costs = {
        alternative.label: [_cost(part, alternative.label) for part in bases if part.target is not None]
        for alternative in sweep.alternatives
    }
    several = len(bases) > 1 and all(len(row) > 1 for row in costs.values())
    return Answer(sweep, bases, performance_profile(costs) if several else {})


def _cost(part: BaseAnswer, label: str) -> float:
    reached_target = next((row.reached for row in part.rows if row.alternative == label), None)
    return reached_target.steps if reached_target else math.inf


def _base(sweep: SweepRecord, base: str) -> BaseAnswer:
    rows, metric, target, trials = rows_of(sweep, base)
    worst = worst_value(sweep, base)
    adaptive = sweep.adaptive
    counted = {label: distinct(trials_of) for label, trials_of in trials.items()}
    spent = trials if adaptive else counted
    curve = running_best if adaptive else best_of_k
    compared = _compared(sweep, rows, trials, metric)
    return BaseAnswer(
        base,
        metric,
        rows,
        compared.comparisons,
        target,
        {
            label: curve(filled(known, worst), sweep.judge.rising)
            if sweep.studies == 1
            else best_of_studies(known, worst, sweep.judge)
            for label, known in spent.items()
            if _some(known)
        },
        {
            alternative.label: importances(
                alternative.dimensions,
                counted[alternative.label],
                filled(counted[alternative.label], worst),
            )
            for alternative in sweep.alternatives
        },
        compared.factors,
    )


def _compared(
    sweep: SweepRecord, rows: Sequence[AnswerRow], trials: Mapping[str, Sequence[TrialRecord]], metric: Metric
) -> Compared:
    """The tests of all pairs, and of the factors: over studies where the search was repeated."""
    if sweep.studies > 1:
        return compared_over_studies(sweep, trials, rows, metric)
    fresh = {row.alternative: _fresh(row, metric) for row in rows if row.fresh}
    return Compared(comparisons(sweep, trials, fresh, metric), crossed(sweep, trials, fresh, metric))


def _fresh(row: AnswerRow, metric: Metric) -> FreshRuns:
    resamples = read_examples(row.run, metric.name) if row.run and not row.diverged else None
    return FreshRuns(row.trial, row.values, row.diverged, resamples)


def _some(trials: Sequence[TrialRecord]) -> bool:
    return any(trial.value is not None for trial in trials)
