"""The result of a race as a table and as plain data."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path as FilePath
from typing import Any

from rich.table import Table

from nnrun.race.trajectory import Path
from nnrun.types import Surface

__all__ = ["record", "table"]


def table(title: str, surface: Surface, paths: Sequence[Path]) -> Table:
    """One row for each optimizer: its learning rate, the steps to the goal, the value at the end."""
    head = f"{title}: steps after which the value stays at {surface.goal:.3g} or below"
    found = Table(title=head, box=None, pad_edge=False, title_justify="left")
    found.add_column("optimizer")
    for name in ("learning rate", "steps", "value at the end"):
        found.add_column(name, justify="right")
    for path in paths:
        last = float(path.values[-1])
        found.add_row(
            path.label,
            "none" if path.learning_rate is None else f"{path.learning_rate:.3g}",
            "–" if path.steps is None else str(path.steps),
            f"{last:.3g}" if math.isfinite(last) else "diverged",
        )
    return found


def record(title: str, surface: Surface, paths: Sequence[Path], output: FilePath | None) -> dict[str, Any]:
    """The same for programs; null for what was not reached or is not finite."""
    return {
        "surface": title,
        "goal": surface.goal,
        "picture": str(output) if output else None,
        "optimizers": [
            {
                "optimizer": path.label,
                "learning_rate": path.learning_rate,
                "steps": path.steps,
                "value": float(path.values[-1]) if math.isfinite(path.values[-1]) else None,
            }
            for path in paths
        ],
    }
