"""The alternatives of a base, best first: each with its chosen setting and what that reached on fresh seeds."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from nnrun.report.sweep.curves import Reached, reached
from nnrun.report.sweep.folder import FinalRecord, Settings, SweepRecord, TrialRecord
from nnrun.statistics.mean import interquartile_mean
from nnrun.statistics.metric import Metric

__all__ = ["BaseRows", "Row", "best_trial", "rows_of"]


class Row(NamedTuple):
    """One alternative on one base.

    trial       the chosen one, None while no trial has a value; `settings` are what it varied
    validation  its value in the search, which is why it was chosen
    values      seed -> value of the metric that is compared; of the fresh seeds that finished
    mean, low, high   of those, with 95% interval; None if there are none, or only one
    middle      their interquartile mean
    fresh       whether `values` are of fresh seeds; if not, they are the chosen trial's own on validation data
    validation_again  mean of the validation metric over the fresh seeds
    seeds, diverged   how many runs `values` could be of, and how many of those diverged
    trials      how many have ended; `unstable` of them diverged (some seed did), `stopped` lost on the way, `failed`
    reached     when the runs on fresh seeds reached the target
    """

    base: str
    alternative: str
    trial: str | None
    settings: Settings
    run: Path | None
    validation: float | None
    values: dict[int, float]
    mean: float | None
    low: float | None
    high: float | None
    middle: float | None
    fresh: bool
    validation_again: float | None
    seeds: int
    diverged: int
    trials: int
    unstable: int
    stopped: int
    failed: int
    reached: Reached | None


class BaseRows(NamedTuple):
    """The alternatives of a base, and what they were made of.

    rows     best first
    metric   what they are compared by
    target   what is to be reached
    trials   alternative -> those that have ended, in the order of their numbers
    """

    rows: list[Row]
    metric: Metric
    target: float | None
    trials: dict[str, list[TrialRecord]]


def rows_of(sweep: SweepRecord, base: str) -> BaseRows:
    """The alternatives of a base, best first: test data choose nothing."""
    ordered = sorted((trial for trial in sweep.trials if trial.base == base), key=lambda trial: trial.number)
    trials = {
        alternative.label: [trial for trial in ordered if trial.alternative == alternative.label]
        for alternative in sweep.alternatives
    }
    finals = {final.alternative: final for final in sweep.finals if final.base == base}
    metric, target = _compared(sweep, [*finals.values()]), _target(sweep, [*finals.values()])
    rows = [
        _row(sweep, base, label, metric, target, trials_of, finals.get(label))
        for label, trials_of in trials.items()
    ]
    again = all(row.validation_again is not None for row in rows if row.mean is not None)
    rows.sort(key=lambda row: _order(row, sweep.judge, again))
    return BaseRows(rows, metric if finals else sweep.judge, target, trials)


def best_trial(sweep: SweepRecord) -> str | None:
    """The name of the trial that best.yaml is made of: that of the best alternative on the first base."""
    rows = rows_of(sweep, sweep.bases[0]).rows
    return rows[0].trial if rows else None


def _order(row: Row, judge: Metric, again: bool) -> tuple[bool, bool, float]:
    """Best first: by the validation metric over fresh seeds, in the search until all have them.

    Test data choose nothing.  An alternative some of whose fresh seeds diverged is behind those that are sound.
    """
    judged = row.validation_again if again else row.validation
    return row.mean is None, row.fresh and row.diverged > 0, -judge.sign * _or(judged, -judge.sign * math.inf)


def _compared(sweep: SweepRecord, finals: Sequence[FinalRecord]) -> Metric:
    """The metric that alternatives are compared by: that of the search, on the test part where there is one."""
    test = "test/" + sweep.metric.partition("/")[2]
    tested = all(test in final.metrics for final in finals if final.metrics)
    return sweep.judge._replace(name=test) if tested else sweep.judge


def _target(sweep: SweepRecord, finals: Sequence[FinalRecord]) -> float | None:
    """What is to be reached: as the sweep says, or what the worst alternative has at last."""
    if sweep.target is not None:
        return sweep.target
    means = [
        statistics.fmean(known) for final in finals if (known := _finite(final.metrics.get(sweep.metric, ())))
    ]
    return sweep.judge.worst(means, float)


def _row(
    sweep: SweepRecord,
    base: str,
    label: str,
    metric: Metric,
    target: float | None,
    trials: list[TrialRecord],
    final: FinalRecord | None,
) -> Row:
    chosen = _chosen(sweep, trials, final)
    values: dict[int, float] = {}
    column: Sequence[float | None] = ()
    if final:
        column = final.metrics.get(metric.name, (None,) * len(final.seeds))
        values = {seed: v for seed, v in zip(final.seeds, column, strict=False) if v is not None}
    elif chosen:
        column = chosen.values
        values = {i: v for i, v in enumerate(column) if v is not None}
    mean, ends = metric.mean([*values.values()]) if values else (None, None)
    low, high = ends or (None, None)
    folder = final.run if final else chosen.run if chosen else None
    again = _finite(final.metrics.get(sweep.metric, ())) if final else []
    return Row(
        base,
        label,
        chosen.trial if chosen else None,
        chosen.settings if chosen else {},
        sweep.folder / folder if folder else None,
        chosen.value if chosen else None,
        values,
        mean,
        low,
        high,
        interquartile_mean([*values.values()]) if values else None,
        final is not None,
        statistics.fmean(again) if again else None,
        len(column),
        len(column) - len(values),
        len(trials),
        sum(trial.value is None and trial.status != "failed" for trial in trials),
        sum(trial.status == "stopped" for trial in trials),
        sum(trial.status == "failed" for trial in trials),
        reached(sweep.folder / final.run, sweep.judge, target) if final and target is not None else None,
    )


def _chosen(sweep: SweepRecord, trials: list[TrialRecord], final: FinalRecord | None) -> TrialRecord | None:
    if final:
        return next((trial for trial in trials if trial.trial == final.trial), None)
    able = [trial for trial in trials if trial.status == "done" and trial.value is not None]
    return sweep.judge.best(able, lambda trial: _or(trial.value, 0.0))


def _or(value: float | None, otherwise: float) -> float:
    return otherwise if value is None else value


def _finite(values: Sequence[float | None]) -> list[float]:
    return [value for value in values if value is not None]
