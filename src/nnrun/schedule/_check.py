"""What durations of schedules have in common."""

from __future__ import annotations

__all__ = ["at_least_one"]


def at_least_one(name: str, steps: int) -> None:
    """Refuses a duration of 0 steps, by which nothing can be divided.  Raises ValueError."""
    if steps < 1:
        raise ValueError(f"{name}: got 0; write at least 1 step")
