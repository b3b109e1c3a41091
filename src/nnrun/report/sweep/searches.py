"""What the trials of a sweep say of other searches, for the statistics."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from nnrun.report.sweep.evidence import distinct
from nnrun.report.sweep.folder import AlternativeRecord, DimensionRecord, SweepRecord, TrialRecord
from nnrun.statistics.compare import Comparison, compare_all
from nnrun.statistics.metric import Metric
from nnrun.statistics.searches import Searched

__all__ = ["comparisons", "judged_alike"]


def judged_alike(trials: Sequence[TrialRecord]) -> bool:
    """Whether all of these that could begin were judged on the same examples."""
    return len({trial.judged_on for trial in trials if trial.judged_on is not None}) < 2


def comparisons(
    sweep: SweepRecord,
    trials: Mapping[str, Sequence[TrialRecord]],
    fresh: Mapping[str, tuple[str | None, Mapping[int, float]]],
    metric: Metric,
) -> list[Comparison]:
    """The tests of all pairs of alternatives; none where trials were not judged on the same examples.

    trials   alternative -> those of one base
    fresh    alternative -> name of the chosen trial, seed -> value of the metric on fresh seeds
    """
    every = [trial for trials_of in trials.values() for trial in trials_of]
    if not judged_alike(every):
        return []
    worst = metric.worst([value for trial in every for value in _values(trial, metric) or ()], float) or 0.0
    tried = {
        alternative.label: _searched(
            sweep,
            alternative,
            trials[alternative.label],
            fresh[alternative.label][0],
            metric,
            list(fresh[alternative.label][1].values()),
            worst,
        )
        for alternative in sweep.alternatives
        if alternative.label in fresh
    }
    return compare_all({label: values for label, (_, values) in fresh.items()}, tried)


def _searched(
    sweep: SweepRecord,
    alternative: AlternativeRecord,
    trials: Sequence[TrialRecord],
    chosen: str | None,
    metric: Metric,
    fresh: Sequence[float],
    worst: float,
) -> Searched | None:
    """The trials that the setting of an alternative was chosen from; None where they say nothing of other searches.

    trials   of the alternative on one base
    chosen   name of the chosen one
    metric   that alternatives are compared by
    fresh    its values of the chosen trial's fresh seeds
    worst    what a trial counts as that has none
    Where nothing that is a number varies, every setting there is was asked for by name, and there is no luck in it.
    A search that learns from its trials draws none of them independently of the others.
    """
    if not fresh:
        return None
    if not any(map(_is_number, alternative.dimensions)):
        return Searched(np.zeros(1), [np.array(fresh)], varied=False)
    if sweep.adaptive or any(_values(trial, metric) is None for trial in trials):
        return None
    # The chosen trial first, also among copies of itself.
    ordered = sorted(
        distinct(sorted(trials, key=lambda trial: trial.trial != chosen)),
        key=lambda trial: (trial.trial != chosen, -_rank(trial, sweep.judge)),
    )
    tests = [np.array(_values(trial, metric) or [worst]) for trial in ordered]
    ranks = np.array([_rank(trial, sweep.judge) for trial in ordered])
    return Searched(ranks, [np.array(fresh), *tests[1:]], sweep.judge.sign)


def _is_number(dimension: DimensionRecord) -> bool:
    """Whether a key varies over numbers, of which others could have been drawn or written."""
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
