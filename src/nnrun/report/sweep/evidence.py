"""What the trials of an alternative are evidence of: each setting counts once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from nnrun.report.sweep.folder import DimensionRecord, SweepRecord, TrialRecord
from nnrun.statistics.importance import Importance, importance
from nnrun.statistics.metric import Metric

__all__ = ["distinct", "filled", "importances", "ranked", "worst_value"]


def distinct(trials: Sequence[TrialRecord]) -> list[TrialRecord]:
    """Trials of which none has the settings of an earlier one: the same runs again are no evidence.

    Another study has seeds of its own, so equal settings in two studies are not the same runs.
    """
    first: dict[str, TrialRecord] = {}
    for trial in trials:
        first.setdefault(repr((trial.study, sorted(trial.settings.items()))), trial)
    return list(first.values())


def filled(trials: Sequence[TrialRecord], worst: float) -> list[float]:
    """The values of trials; one without a value has the worst."""
    return [worst if trial.value is None else trial.value for trial in trials]


def importances(
    dimensions: Sequence[DimensionRecord], trials: Sequence[TrialRecord], values: Sequence[float]
) -> list[Importance]:
    """Most important first.  A trial that was stopped counts with the value at which it lost."""
    settings = {
        dimension.path: [trial.settings.get(dimension.path) for trial in trials] for dimension in dimensions
    }
    shares = [importance(path, column, values) for path, column in settings.items()]
    return sorted((share for share in shares if share), key=lambda share: -share.explained)


def ranked(trials: Iterable[TrialRecord], judge: Metric) -> list[TrialRecord]:
    """Trials from the best to the worst: those that were done, then those that were stopped, then the rest."""
    place = {"done": 0, "stopped": 1}

    def order(trial: TrialRecord) -> tuple[int, float, str]:
        if trial.value is None:
            return 3, 0.0, trial.trial
        return place.get(trial.status, 2), -judge.sign * trial.value, trial.trial

    return sorted(trials, key=order)


def worst_value(sweep: SweepRecord, base: str) -> float:
    """The worst value that any trial had: what a trial without a value counts as."""
    known = [trial.value for trial in sweep.trials if trial.base == base and trial.value is not None]
    return sweep.judge.worst(known, float) or 0.0
