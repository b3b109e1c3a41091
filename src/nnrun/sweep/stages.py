"""Rungs: where trials are compared on the way, who goes on, and who goes on from whom.

What is decided is a pure function of the files, so a sweep that was killed decides it again in the same way.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from nnrun.record import metrics
from nnrun.space import Search
from nnrun.sweep.trials import Trial
from nnrun.types import Plan

__all__ = ["best_until", "losers_among", "pairs_of", "ranking", "rung_steps", "survivors", "trial_value"]


def rung_steps(search: Search, plan: Plan) -> list[int]:
    """The steps of the rungs, at evaluations, below the length of the run."""
    every = plan.evaluate_every
    steps = {math.ceil(share * plan.steps / every - 1e-9) * every for share in search.rungs}
    return sorted(step for step in steps if 0 < step < plan.steps)


def best_until(folder: Path, metric: str, goal: str, until: int) -> float | None:
    """The best value of a metric that a run logged up to a step; None where it has none or is not finite."""
    rows = metrics.read(folder / "metrics.jsonl")
    pick = max if goal == "max" else min
    values = [
        row[metric] for row in rows if row["step"] <= until and isinstance(row.get(metric), int | float)
    ]
    return pick(values) if values and all(map(math.isfinite, values)) else None


def trial_value(folders: Sequence[Path], metric: str, goal: str, until: int) -> float | None:
    """The mean over the seeds of a trial; None where one of them diverged."""
    values = [best_until(folder, metric, goal, until) for folder in folders]
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if len(known) == len(values) else None


def survivors(
    trials: Sequence[Trial], values: Mapping[str, float | None], goal: str, keep: float
) -> set[str]:
    """The names of the trials that go on: of each line the best share `keep`, at least one; ties by number."""
    names: set[str] = set()
    for group in _by_arm(trials):
        ranked = ranking(group, values, goal)
        names |= {trial.name for trial in ranked[: max(1, math.ceil(len(group) * keep - 1e-9))]}
    return names


def pairs_of(
    trials: Sequence[Trial], values: Mapping[str, float | None], goal: str, losers: float
) -> list[tuple[Trial, Trial]]:
    """(loser, winner) of each line: the worst share, the worst of them with the best of the best."""
    pairs: list[tuple[Trial, Trial]] = []
    for group in _by_arm(trials):
        ranked = ranking(group, values, goal)
        count = min(losers_among(len(group), losers), len(ranked) // 2)
        lost = [trial for trial in group if trial not in ranked]  # diverged: they have nothing to go on from
        worst = [*lost, *ranked[len(ranked) - count :][::-1]][: max(count, len(lost))]
        best = ranked[: max(count, 1)]
        pairs += [(loser, best[i % len(best)]) for i, loser in enumerate(worst) if best and loser not in best]
    return pairs


def losers_among(trials: int, share: float) -> int:
    """How many of so many trials are losers."""
    return math.floor(trials * share + 1e-9)


def _by_arm(trials: Sequence[Trial]) -> list[list[Trial]]:
    """The trials of each line, in order."""
    groups: dict[str, list[Trial]] = {}
    for trial in trials:
        groups.setdefault(trial.name.rpartition("-")[0], []).append(trial)
    return list(groups.values())


def ranking(trials: Sequence[Trial], values: Mapping[str, float | None], goal: str) -> list[Trial]:
    """The trials that have a value, best first, equal ones by number."""
    sign = -1.0 if goal == "max" else 1.0
    known = [
        (sign * value, trial.number, trial) for trial in trials if (value := values[trial.name]) is not None
    ]
    return [trial for _, _, trial in sorted(known, key=lambda item: item[:2])]
