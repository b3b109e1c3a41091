"""Rungs: where trials are compared on the way, who continues, and who continues from whom.

What is decided is a pure function of the files, so a sweep that was killed decides it again in the same way.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from nnrun.record import metrics
from nnrun.record.names import METRICS
from nnrun.space import Search
from nnrun.statistics.metric import Metric
from nnrun.sweep.records import mean_value
from nnrun.sweep.trials import Trial
from nnrun.types import Plan

__all__ = ["best_until", "losers_among", "pairs_of", "ranking", "rung_steps", "rung_value", "survivors"]


def rung_steps(search: Search, plan: Plan) -> list[int]:
    """The steps of the rungs, at evaluations, below the length of the run."""
    every = plan.evaluate_every
    steps = {math.ceil(share * plan.steps / every - 1e-9) * every for share in search.rungs}
    return sorted(step for step in steps if 0 < step < plan.steps)


def best_until(folder: Path, metric: Metric, until: int) -> float | None:
    """The best finite value of a metric that a run logged up to a step, as its best step is judged; None: none."""
    rows = [row for row in metrics.read(folder / METRICS) if row["step"] <= until]
    values = [row[metric.name] for row in rows if math.isfinite(row.get(metric.name, math.nan))]
    return metric.best(values, float)


def rung_value(folders: Sequence[Path], metric: Metric, until: int) -> float | None:
    """The mean over the seeds of a trial; None where one of them diverged."""
    values = [best_until(folder, metric, until) for folder in folders]
    return mean_value(values)


def survivors(
    trials: Sequence[Trial], values: Mapping[str, float | None], metric: Metric, keep: float
) -> set[str]:
    """The names of the trials that continue: of each line the best share `keep`, at least one; ties by number."""
    names: set[str] = set()
    for group in _by_arm(trials):
        ranked = ranking(group, values, metric)
        names |= {trial.name for trial in ranked[: max(1, math.ceil(len(group) * keep - 1e-9))]}
    return names


def pairs_of(
    trials: Sequence[Trial], values: Mapping[str, float | None], metric: Metric, losers: float
) -> list[tuple[Trial, Trial]]:
    """(loser, winner) of each line: the worst share, the worst of them with the best of the best."""
    pairs: list[tuple[Trial, Trial]] = []
    for group in _by_arm(trials):
        ranked = ranking(group, values, metric)
        count = min(losers_among(len(group), losers), len(ranked) // 2)
        # Those that diverged have nothing to continue from.
        lost = [trial for trial in group if trial not in ranked]
        worst = [*lost, *ranked[len(ranked) - count :][::-1]][: max(count, len(lost))]
        best = ranked[: max(count, 1)]
        pairs += [(loser, best[i % len(best)]) for i, loser in enumerate(worst) if best]
    return pairs


def losers_among(trials: int, share: float) -> int:
    """How many of this many trials are losers."""
    return math.floor(trials * share + 1e-9)


def _by_arm(trials: Sequence[Trial]) -> list[list[Trial]]:
    """The trials of each line, in order."""
    groups: dict[str, list[Trial]] = {}
    for trial in trials:
        groups.setdefault(trial.name.rpartition("-")[0], []).append(trial)
    return list(groups.values())


def ranking(trials: Sequence[Trial], values: Mapping[str, float | None], metric: Metric) -> list[Trial]:
    """The trials that have a value, best first, equal ones by number."""
    known = [
        (-metric.sign * value, trial.number, trial)
        for trial in trials
        if (value := values[trial.name]) is not None
    ]
    return [trial for _, _, trial in sorted(known, key=lambda item: item[:2])]
