"""What the trials of a sweep say of other searches, for the statistics."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from nnrun.report.sweep.evidence import distinct
from nnrun.report.sweep.folder import AlternativeRecord, DimensionRecord, SweepRecord, TrialRecord
from nnrun.statistics.compare import compare_all
from nnrun.statistics.comparison import PairComparison
from nnrun.statistics.factors import Cell, Factors, factor_effects
from nnrun.statistics.metric import Metric
from nnrun.statistics.searches import Searched

__all__ = ["FreshRuns", "comparisons", "crossed", "dependent", "judged_alike"]


class FreshRuns(NamedTuple):
    """The runs of an alternative on fresh seeds.

    trial     name of the chosen one
    values    seed -> value of the metric that is compared
    diverged  how many have none
    resamples its mean over the seeds in resamples of the examples; None where that is not known
    """

    trial: str | None
    values: Mapping[int, float]
    diverged: int = 0
    resamples: np.ndarray | None = None


def judged_alike(trials: Sequence[TrialRecord]) -> bool:
    """Whether all of these that could begin were judged on the same examples."""
    return len({trial.judged_on for trial in trials if trial.judged_on is not None}) < 2


def comparisons(
    sweep: SweepRecord,
    trials: Mapping[str, Sequence[TrialRecord]],
    fresh: Mapping[str, FreshRuns],
    metric: Metric,
) -> list[PairComparison]:
    """The tests of all pairs of alternatives; none where trials were not judged on the same examples.

    trials   alternative -> those of one base
    fresh    alternative -> its runs on fresh seeds
    metric   that alternatives are compared by
    """
    if not _alike(trials):
        return []
    values = {label: runs.values for label, runs in fresh.items()}
    resamples = {label: runs.resamples for label, runs in fresh.items() if runs.resamples is not None}
    return compare_all(values, _tried(sweep, trials, fresh, metric), resamples, sweep.looks)


def crossed(
    sweep: SweepRecord,
    trials: Mapping[str, Sequence[TrialRecord]],
    fresh: Mapping[str, FreshRuns],
    metric: Metric,
) -> Factors | None:
    """The effects of the factors that the alternatives are the combinations of; arguments as of `comparisons`.

    None where there are fewer than two factors, or a combination has no runs on fresh seeds, or one has that another
    lacks, or trials were not judged on the same examples.
    """
    factors = list(sweep.alternatives[0].factors) if sweep.alternatives else []
    if len(factors) < 2 or len(fresh) < len(sweep.alternatives) or not _alike(trials):
        return None
    tried = _tried(sweep, trials, fresh, metric)
    cells = {
        tuple(alternative.factors.values()): Cell(
            fresh[alternative.label].values, tried[alternative.label], fresh[alternative.label].resamples
        )
        for alternative in sweep.alternatives
    }
    return factor_effects(factors, cells, sweep.looks)


def _alike(trials: Mapping[str, Sequence[TrialRecord]]) -> bool:
    return judged_alike([trial for trials_of in trials.values() for trial in trials_of])


def _tried(
    sweep: SweepRecord,
    trials: Mapping[str, Sequence[TrialRecord]],
    fresh: Mapping[str, FreshRuns],
    metric: Metric,
) -> dict[str, Searched | str | None]:
    """What the trials of each alternative say of other searches."""
    values = [
        value
        for trials_of in trials.values()
        for trial in trials_of
        for value in _values(trial, metric) or ()
    ]
    worst = metric.worst(values, float) or 0.0
    return {
        alternative.label: _searched(
            sweep, alternative, trials[alternative.label], fresh[alternative.label], metric, worst
        )
        for alternative in sweep.alternatives
        if alternative.label in fresh
    }


def _searched(
    sweep: SweepRecord,
    alternative: AlternativeRecord,
    trials: Sequence[TrialRecord],
    fresh: FreshRuns,
    metric: Metric,
    worst: float,
) -> Searched | str | None:
    """The trials that the setting of an alternative was chosen from, or why they say nothing of other searches.

    trials   of the alternative on one base
    worst    what a trial counts as that has none
    None where another search would have found the same: nothing varies, or names alone and all of them were tried.
    """
    different = distinct(sorted(trials, key=lambda trial: trial.trial != fresh.trial))
    if _is_complete(alternative.dimensions, len(different)):
        return None
    if sweep.adaptive or any(trial.status == "stopped" for trial in trials):
        return dependent(sweep)
    if fresh.diverged:
        return f"{fresh.diverged} of the fresh seeds of {alternative.label} diverged"
    if any(_values(trial, metric) is None for trial in trials):
        return f"the trials have no record of {metric}"
    ordered = sorted(different, key=lambda trial: (trial.trial != fresh.trial, -_rank(trial, sweep.judge)))
    tests = [np.array(_values(trial, metric) or [worst]) for trial in ordered]
    ranks = np.array([_rank(trial, sweep.judge) for trial in ordered])
    return Searched(ranks, [np.array([*fresh.values.values()]), *tests[1:]], sweep.judge.sign)


def dependent(sweep: SweepRecord) -> str:
    """Why trials that depend on each other say nothing of other searches."""
    return f"trials of {sweep.search} depend on each other"


def _is_complete(dimensions: Sequence[DimensionRecord], settings: int) -> bool:
    """Whether all possible settings were tried: every key is a choice of words, and each combination is there."""
    if any(map(_is_number, dimensions)):
        return False
    return settings >= math.prod(len(dimension.values) for dimension in dimensions)


def _is_number(dimension: DimensionRecord) -> bool:
    """Whether a key varies over numbers, so that other values would have been possible."""
    return dimension.kind != "choice" or any(
        isinstance(value, int | float) and not isinstance(value, bool) for value in dimension.values
    )


def _rank(trial: TrialRecord, judge: Metric) -> float:
    """What a trial is ranked by: more is better."""
    return -math.inf if trial.value is None or trial.status != "done" else judge.sign * trial.value


def _values(trial: TrialRecord, metric: Metric) -> list[float] | None:
    """Its values of the metric, [] where it has none of its own; None where its record does not say."""
    if trial.value is None or trial.status != "done":
        return []
    if metric.name not in trial.metrics:
        return None
    return [value for value in trial.metrics[metric.name] if value is not None]
