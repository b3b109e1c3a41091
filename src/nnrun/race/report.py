"""The result of a race as a table and as plain data."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from rich.console import Group
from rich.text import Text
from typing_extensions import TypedDict

from nnrun.amounts import figure
from nnrun.race.trajectory import Trajectory
from nnrun.report.sheet import sheet_of
from nnrun.types import Surface

__all__ = ["RaceEntry", "RaceReport", "record", "table"]


class RaceEntry(TypedDict):
    """How an optimizer did; null where the goal was not reached or a number is not finite."""

    optimizer: str
    learning_rate: float | None
    steps: int | None
    value: float | None


class RaceReport(TypedDict):
    """A race for programs."""

    surface: str
    goal: float | None
    picture: str | None
    optimizers: list[RaceEntry]


def table(title: str, surface: Surface, trajectories: Sequence[Trajectory]) -> Group:
    """One row for each optimizer, the fastest first: its learning rate, the steps to the goal, the value at the end."""
    rows = []
    for trajectory in sorted(trajectories, key=_place):
        last, rate = float(trajectory.values[-1]), trajectory.learning_rate
        rows.append(
            [
                trajectory.label,
                "none" if rate is None else f"{rate:.3g}",
                "–" if trajectory.steps is None else str(trajectory.steps),
                figure(last, 3) if math.isfinite(last) else "diverged",
            ]
        )
    head = Text(f"{title}: steps after which the value stays at {figure(surface.goal, 3)} or below", "italic")
    return Group(head, sheet_of(["optimizer", "learning rate", "steps", "value at the end"], rows))


def _place(trajectory: Trajectory) -> tuple[float, float]:
    """Fewest steps to the goal first; of those that do not reach it, the lowest value."""
    last = float(trajectory.values[-1])
    steps = math.inf if trajectory.steps is None else trajectory.steps
    return steps, last if math.isfinite(last) else math.inf


def record(
    title: str, surface: Surface, trajectories: Sequence[Trajectory], output: Path | None
) -> RaceReport:
    """The result for programs, the fastest first."""
    return {
        "surface": title,
        "goal": surface.goal,
        "picture": str(output) if output else None,
        "optimizers": [
            {
                "optimizer": trajectory.label,
                "learning_rate": trajectory.learning_rate,
                "steps": trajectory.steps,
                "value": float(trajectory.values[-1]) if math.isfinite(trajectory.values[-1]) else None,
            }
            for trajectory in sorted(trajectories, key=_place)
        ],
    }
