"""Durations as a spec writes them: `30 epochs`, `2000 steps`, `5%`, `1e6 examples`, `30 seconds`.

Everything below the spec counts in steps; `Duration.steps` is the one place where the conversion is made.
"""

from __future__ import annotations

import math
import re
from decimal import Decimal
from typing import NamedTuple

__all__ = ["Clock", "Duration", "parse"]

_NUMBER = r"(?P<amount>\d+(?:\.\d*)?(?:[eE][+]?\d+)?|\.\d+)"
_DURATION = re.compile(rf"^{_NUMBER}\s*(?P<unit>%|[a-z]+)$")
_UNITS = {
    "step": "steps", "steps": "steps",
    "epoch": "epochs", "epochs": "epochs",
    "example": "examples", "examples": "examples",
    "%": "%", "percent": "%",
    "second": "seconds", "seconds": "seconds", "s": "seconds",
    "minute": "minutes", "minutes": "minutes", "min": "minutes",
}  # fmt: skip
_WRITE = "write a duration such as 10 epochs, 2000 steps, 1e6 examples or 5%"
PATTERN = r"^[0-9.]+([eE]\+?[0-9]+)?\s*(steps?|epochs?|examples?|percent|%|s|seconds?|min|minutes?)$"


class Clock(NamedTuple):
    """What a duration is measured against."""

    batch_size: int
    steps_per_epoch: int
    total: int  # steps of the whole run; 0 while it is not known


class Duration(NamedTuple):
    """An amount of training, or of wall time."""

    amount: float
    unit: str  # steps, epochs, examples, %, seconds, minutes

    def __str__(self) -> str:
        number = f"{Decimal(repr(self.amount)).normalize():f}"  # as written: all digits, no negative exponent
        if self.unit == "%":
            return f"{number}%"
        return f"{number} {self.unit[:-1] if self.amount == 1 else self.unit}"

    @property
    def seconds(self) -> float | None:
        """Wall time in seconds, or None where the duration is an amount of training."""
        return {"seconds": self.amount, "minutes": 60 * self.amount}.get(self.unit)

    def steps(self, clock: Clock) -> int:
        """This many steps, rounded to the nearest, at least 1 unless the amount is 0."""
        if self.amount == 0:
            return 0
        scale = {
            "steps": 1.0,
            "epochs": clock.steps_per_epoch,
            "examples": 1 / clock.batch_size,
            "%": clock.total / 100,
        }[self.unit]
        return max(1, round(self.amount * scale))


def parse(value: object) -> Duration:
    """A Duration from its YAML value.  Raises ValueError with what to write instead."""
    if isinstance(value, Duration):
        return value
    if value == 0 and not isinstance(value, bool):
        return Duration(0, "steps")
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        raise ValueError(f"a duration needs a unit; write {value} epochs or {value} steps")
    match = _DURATION.match(value.strip()) if isinstance(value, str) else None
    if match is None:
        raise ValueError(f"not a duration; {_WRITE}")
    unit = _UNITS.get(match["unit"])
    if unit is None:
        raise ValueError(f"unknown unit {match['unit']!r}; {_WRITE}")
    amount = float(match["amount"])
    if not math.isfinite(amount) or amount > 1e15:
        raise ValueError(f"too long; {_WRITE}")
    if unit == "steps" and amount != int(amount):
        raise ValueError("a number of steps is a whole number")
    if unit == "%" and amount > 100:
        raise ValueError("more than 100% of the run; write at most 100%")
    return Duration(amount, unit)
