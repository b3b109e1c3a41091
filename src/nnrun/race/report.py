"""The result of a race as a table and as plain data."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from rich.table import Table

from nnrun.race.trajectory import Trajectory
from nnrun.types import Surface

__all__ = ["record", "table"]


def table(title: str, surface: Surface, trajectories: Sequence[Trajectory]) -> Table:
    """One row for each optimizer: its learning rate, the steps to the goal, the value at the end."""
    head = f"{title}: steps after which the value stays at {surface.goal:.3g} or below"
    rows = Table(title=head, box=None, pad_edge=False, title_justify="left")
    rows.add_column("optimizer")
    for name in ("learning rate", "steps", "value at the end"):
        rows.add_column(name, justify="right")
    for trajectory in trajectories:
        last = float(trajectory.values[-1])
        rows.add_row(
            trajectory.label,
            "none" if trajectory.learning_rate is None else f"{trajectory.learning_rate:.3g}",
            "–" if trajectory.steps is None else str(trajectory.steps),
            f"{last:.3g}" if math.isfinite(last) else "diverged",
        )
    return rows


def record(
    title: str, surface: Surface, trajectories: Sequence[Trajectory], output: Path | None
) -> dict[str, object]:
    """The result for programs; null where the goal was not reached or a number is not finite."""
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
            for trajectory in trajectories
        ],
    }
