"""The answer of a sweep that repeats its whole search: each study is a value of a method, and the unit of tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from nnrun.report.sweep.evidence import filled
from nnrun.report.sweep.examples import read_examples
from nnrun.report.sweep.folder import SweepRecord, TrialRecord
from nnrun.report.sweep.rows import AnswerRow
from nnrun.report.sweep.searches import judged_alike
from nnrun.statistics.budget import BestOf, running_best
from nnrun.statistics.comparison import PairComparison
from nnrun.statistics.factors import Cell, Factors, factor_effects
from nnrun.statistics.metric import Metric
from nnrun.statistics.studies import compare_studies

__all__ = ["Compared", "best_of_studies", "compared_over_studies", "unsound"]


class Compared(NamedTuple):
    """The tests of all pairs of alternatives, and of the factors that they combine, None where there are none."""

    comparisons: list[PairComparison]
    factors: Factors | None


def compared_over_studies(
    sweep: SweepRecord, trials: Mapping[str, Sequence[TrialRecord]], rows: Sequence[AnswerRow], metric: Metric
) -> Compared:
    """The tests over studies; none where trials were not judged on the same examples.

    trials   alternative -> those of one base
    rows     the alternatives of that base
    metric   that they are compared by
    """
    if not judged_alike([trial for trials_of in trials.values() for trial in trials_of]):
        return Compared([], None)
    fresh = {row.alternative: row for row in rows if row.fresh and row.values}
    values = {label: row.values for label, row in fresh.items()}
    unknown = {label: reason for label, row in fresh.items() if (reason := unsound(row))}
    resamples = {
        label: drawn for label, row in fresh.items() if (drawn := _resamples(row, metric)) is not None
    }
    pairs = compare_studies(values, unknown, resamples, sweep.looks)
    factors = list(sweep.alternatives[0].factors)
    if len(factors) < 2 or len(fresh) < len(sweep.alternatives):
        return Compared(pairs, None)
    cells = {
        tuple(alternative.factors.values()): Cell(values[label], unknown.get(label), resamples.get(label))
        for alternative in sweep.alternatives
        for label in [alternative.label]
    }
    return Compared(pairs, factor_effects(factors, cells, sweep.looks, studies=True))


def unsound(row: AnswerRow) -> str:
    """Why the values of the studies of an alternative say nothing of it; empty where they do."""
    if row.lost:
        numbers = ", ".join(map(str, row.lost))
        which = f"study {numbers}" if len(row.lost) == 1 else f"studies {numbers}"
        return f"{which} of {row.alternative} ended without a value"
    if row.diverged:
        return f"{row.diverged} of the fresh seeds of {row.alternative} diverged"
    return ""


def _resamples(row: AnswerRow, metric: Metric) -> np.ndarray | None:
    """The mean over the studies in each resample of the examples; None where that is not known of all of them."""
    known = [
        None if study.run is None or study.diverged else read_examples(study.run, metric.name)
        for study in row.studies
    ]
    drawn = [values for values in known if values is not None]
    if len(drawn) < len(known) or len({len(values) for values in drawn}) > 1:
        return None
    return np.mean(drawn, axis=0)


def best_of_studies(trials: Sequence[TrialRecord], worst: float, judge: Metric) -> list[BestOf]:
    """The best value after k trials of a search: the mean over the studies of the best so far, with its interval.

    trials   of one alternative, in the order of their numbers
    worst    what a trial counts as that has no value
    """
    numbers = dict.fromkeys(trial.study for trial in trials)
    curves = [
        running_best(filled([trial for trial in trials if trial.study == study], worst), judge.rising)
        for study in numbers
    ]
    points = []
    for k in range(min(map(len, curves), default=0)):
        mean, ends = judge.mean([curve[k].value for curve in curves])
        points.append(BestOf(k + 1, mean, *(ends or (None, None))))
    return points
