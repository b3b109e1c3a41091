"""The alternatives of a base, best first: each with its chosen setting and what that reached on fresh seeds."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from nnrun.report.sweep.folder import FinalRecord, Settings, SweepRecord, TrialRecord
from nnrun.report.sweep.ranking import best_first
from nnrun.report.sweep.reached import Reached, all_reached, reached
from nnrun.statistics.mean import interquartile_mean
from nnrun.statistics.metric import Metric

__all__ = ["AnswerRow", "BaseRows", "best_trial", "rows_of"]


class AnswerRow(NamedTuple):
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
    studies     where the search was repeated, the same of each study.  `values` are then those of the studies (study
                -> mean over its fresh seeds), the chosen trial is that of the best study by validation, `validation`
                and `validation_again` are means over the studies, and everything else counts all of them
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
    studies: tuple[AnswerRow, ...] = ()

    @property
    def lost(self) -> list[int]:
        """The numbers of the studies that have no value and will have none: nothing could be chosen, or measured."""
        return [
            i
            for i, row in enumerate(self.studies, start=1)
            if self.fresh and (row.mean is None if row.fresh else row.trial is None and row.trials > 0)
        ]

    @property
    def pending(self) -> list[int]:
        """The numbers of the studies that are not measured yet, where others are."""
        waiting = [i for i, row in enumerate(self.studies, start=1) if not row.fresh]
        return [i for i in waiting if self.fresh and i not in self.lost]


class BaseRows(NamedTuple):
    """The alternatives of a base, and what they were made of.

    rows     best first
    metric   what they are compared by
    target   what is to be reached
    trials   alternative -> those that have ended, in the order of their numbers
    """

    rows: list[AnswerRow]
    metric: Metric
    target: float | None
    trials: dict[str, list[TrialRecord]]


def rows_of(sweep: SweepRecord, base: str) -> BaseRows:
    """The alternatives of a base, best first: test data choose nothing."""
    of_base = (trial for trial in sweep.trials if trial.base == base)
    ordered = sorted(of_base, key=lambda trial: (trial.study, trial.number))
    trials = {
        alternative.label: [trial for trial in ordered if trial.alternative == alternative.label]
        for alternative in sweep.alternatives
    }
    finals = {(final.alternative, final.study): final for final in sweep.finals if final.base == base}
    metric, target = _compared(sweep, [*finals.values()]), _target(sweep, [*finals.values()])
    rows = []
    for label, trials_of in trials.items():
        studies = [
            _row(
                sweep, base, label, metric, target,
                [trial for trial in trials_of if trial.study == study], finals.get((label, study)),
            )
            for study in range(1, sweep.studies + 1)
        ]  # fmt: skip
        rows.append(studies[0] if sweep.studies == 1 else _joined(studies, sweep.judge, metric, target))
    rows = best_first(rows, sweep.judge)
    return BaseRows(rows, metric if finals else sweep.judge, target, trials)


def best_trial(sweep: SweepRecord) -> str | None:
    """The name of the trial that best.yaml is made of: that of the best alternative on the first base."""
    rows = rows_of(sweep, sweep.bases[0]).rows
    return rows[0].trial if rows else None


def _joined(studies: Sequence[AnswerRow], judge: Metric, metric: Metric, target: float | None) -> AnswerRow:
    """The studies of an alternative as one row."""
    best = best_first([row for row in studies if row.fresh] or studies, judge)[0]
    fresh = any(row.fresh for row in studies)
    known = {
        study: row.mean
        for study, row in enumerate(studies, start=1)
        if row.fresh == fresh and row.mean is not None
    }
    mean, ends = metric.mean([*known.values()]) if known else (None, None)
    low, high = ends or (None, None)
    runs = [row.run for row in studies if row.fresh and row.run]
    return best._replace(
        validation=_mean([row.validation for row in studies]),
        values=known,
        mean=mean,
        low=low,
        high=high,
        middle=interquartile_mean([*known.values()]) if known else None,
        fresh=fresh,
        validation_again=_mean([row.validation_again for row in studies]),
        seeds=sum(row.seeds for row in studies),
        diverged=sum(row.diverged for row in studies),
        trials=sum(row.trials for row in studies),
        unstable=sum(row.unstable for row in studies),
        stopped=sum(row.stopped for row in studies),
        failed=sum(row.failed for row in studies),
        reached=all_reached(runs, judge, target) if target is not None else None,
        studies=tuple(studies),
    )


def _mean(values: Sequence[float | None]) -> float | None:
    """The mean of those that are known."""
    return statistics.fmean(known) if (known := _finite(values)) else None


def _compared(sweep: SweepRecord, finals: Sequence[FinalRecord]) -> Metric:
    """The metric that alternatives are compared by: that of the search, on the test part where there is one."""
    test = "test/" + sweep.metric.partition("/")[2]
    tested = all(test in final.metrics for final in finals if final.metrics)
    return sweep.judge._replace(name=test) if tested else sweep.judge


def _target(sweep: SweepRecord, finals: Sequence[FinalRecord]) -> float | None:
    """The target: that of the sweep or, where it has none, what the worst alternative reached in the end."""
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
) -> AnswerRow:
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
    return AnswerRow(
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
