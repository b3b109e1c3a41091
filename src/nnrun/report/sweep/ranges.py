"""Where values stand in the ranges that a sweep searched: at an end, or beside a part that was never drawn."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from nnrun.report.sweep.folder import DimensionRecord

__all__ = ["border", "share_of_range", "undrawn"]

_EDGE = 0.05  # of a range, at either end
_NORMAL_EDGE = 1.645  # standard deviations that leave 5% at either end
_UNLIKELY = 0.05


def border(dimension: DimensionRecord, value: object) -> str | None:
    """`lower` or `upper` if a value lies within 5% of that end of its range, in the range's own scale.

    Of a list of three or more numbers, the least and the greatest are the ends.  A range that begins at 0 has no
    lower end: there is nothing below it for a rate.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if dimension.kind == "choice":
        numbers = [
            choice
            for choice in dimension.values
            if isinstance(choice, int | float) and not isinstance(choice, bool)
        ]
        if len(numbers) < 3 or len(numbers) < len(dimension.values):
            return None
        share = 0.0 if value == min(numbers) else 1.0 if value == max(numbers) else 0.5
        low: float = min(numbers)
    else:
        share, low = share_of_range(dimension, value), dimension.low or 0.0
    if share >= 1 - _EDGE:
        return "upper"
    return "lower" if share <= _EDGE and (low != 0 or dimension.kind == "normal") else None


def share_of_range(dimension: DimensionRecord, value: float) -> float:
    """Where a value stands in a range, from 0 to 1."""
    low, high = dimension.low or 0.0, dimension.high or 0.0
    if dimension.kind == "normal":
        deviation = (value - low) / high
        return 0.0 if deviation < -_NORMAL_EDGE else 1.0 if deviation > _NORMAL_EDGE else 0.5
    if dimension.kind in ("log", "log_int"):
        return math.log(value / low) / math.log(high / low) if value > 0 else 0.0
    return (value - low) / (high - low)


def undrawn(dimension: DimensionRecord, values: Iterable[float]) -> tuple[float, float, float] | None:
    """The widest part of a range in which no trial lies: its ends, and its share of the range.

    None where so wide a gap is nothing unusual: of n + 1 gaps between n independent draws and the ends, any is wider
    than g with a chance of at most (n + 1)(1 − g)ⁿ, and below 5% it is unusual.  Only numbers that are drawn evenly,
    or evenly in the logarithm, are looked at; the values of a grid, of which many trials have the same, count once.
    """
    distinct = set(values)
    if dimension.kind not in ("uniform", "log") or not distinct:
        return None
    low, high = dimension.low or 0.0, dimension.high or 0.0
    points = np.sort([low, high, *distinct])
    shares = np.clip([share_of_range(dimension, value) for value in points], 0.0, 1.0)
    widest = int(np.diff(shares).argmax())
    gap, n = float(np.diff(shares)[widest]), len(distinct)
    if (n + 1) * (1 - gap) ** n >= _UNLIKELY:
        return None
    return float(points[widest]), float(points[widest + 1]), gap
