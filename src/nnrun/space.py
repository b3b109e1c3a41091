"""What a sweep searches through: the numbers and choices that vary, and the rule that proposes values for them.

A point is a tuple of coordinates in [0, 1), one for each dimension; `Dimension.at` turns one into a value.  So a
search knows nothing of ranges and scales.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

__all__ = ["Dimension", "Observation", "Point", "Search", "Space", "draws"]

Point = tuple[float, ...]

_DIGITS = 6  # significant ones of a proposed number: more say nothing, and are hard to read
_TAIL = 1e-4  # of a normal distribution, beyond which nothing is proposed


class Dimension(NamedTuple):
    """One key of the spec that varies.

    path    where in the spec, such as optimizer.learning_rate
    kind    choice: one of `values` · uniform, log: a number in [low, high] · int, log_int: a whole number in it
            normal: a number around `low` with the standard deviation `high`
    """

    path: str
    kind: str
    low: float = 0.0
    high: float = 1.0
    values: tuple[Any, ...] = ()

    def at(self, u: float) -> Any:
        """The value at a coordinate in [0, 1)."""
        match self.kind:
            case "choice":
                return self.values[min(int(u * len(self.values)), len(self.values) - 1)]
            case "uniform":
                return _rounded(self.low + u * (self.high - self.low), self.low, self.high)
            case "log":
                return _rounded(self.low * (self.high / self.low) ** u, self.low, self.high)
            case "int":
                return int(min(math.floor(self.low + u * (self.high - self.low + 1)), self.high))
            case "log_int":  # every whole number owns the logarithms from half below to half above it
                low, high = self.low - 0.5, self.high + 0.5
                return int(min(max(round(low * (high / low) ** u), self.low), self.high))
        from scipy.special import ndtri

        return _rounded(
            self.low + self.high * float(ndtri(min(max(u, _TAIL), 1 - _TAIL))), -math.inf, math.inf
        )

    def where(self, value: Any) -> float:
        """A coordinate at which this value stands: the middle of its interval where it has one."""
        match self.kind:
            case "choice":
                return (self.values.index(value) + 0.5) / len(self.values)
            case "uniform":
                coordinate = (value - self.low) / (self.high - self.low)
            case "log":
                coordinate = math.log(value / self.low) / math.log(self.high / self.low)
            case "int":
                coordinate = (value - self.low + 0.5) / (self.high - self.low + 1)
            case "log_int":
                low, high = self.low - 0.5, self.high + 0.5
                coordinate = math.log(value / low) / math.log(high / low)
            case _:
                from scipy.special import ndtr

                coordinate = float(ndtr((value - self.low) / self.high))
        return min(max(coordinate, 0.0), math.nextafter(1.0, 0.0))

    def grid(self, points: int) -> list[float]:
        """The coordinates of an even grid: every choice or whole number, `points` numbers of a range, ends included."""
        if self.kind == "choice":
            return [(i + 0.5) / len(self.values) for i in range(len(self.values))]
        if self.kind in ("int", "log_int"):
            whole = int(self.high - self.low) + 1
            if whole <= points:
                return [self.where(int(self.low) + i) for i in range(whole)]
        if points == 1:
            return [0.5]
        return [min(i / (points - 1), math.nextafter(1.0, 0.0)) for i in range(points)]

    @property
    def ordered(self) -> bool:
        """Whether neighbouring coordinates are neighbouring values."""
        return self.kind != "choice"


Space = tuple[Dimension, ...]


class Observation(NamedTuple):
    """A trial that is done."""

    point: Point
    value: float | None  # of the metric, less is better; None: it diverged or failed


class Search(NamedTuple):
    """A rule that proposes points, as a pure function, so that a sweep can be resumed and can grow.

    ask      (space, seed, first, count, seen) -> points of trials first .. first + count − 1
             seen: Observations of the trials before `first`, in order; unused where `batch` is 0
    batch    how many trials are asked for at a time; 0: the search learns nothing, all at once
    most     space -> how many different trials there are; None: any number
    rungs    fractions of the run after which trials are compared; () : all go to the end
    keep     share of them that continues after each
    explore  (space, point, draws in [0, 1)) -> point near it: the losers of a rung continue from the state of a
             winner with such knobs, instead of ending; None: they end
    """

    ask: Callable[[Space, int, int, int, Sequence[Observation]], list[Point]]
    batch: int = 0
    most: Callable[[Space], int] | None = None
    rungs: tuple[float, ...] = ()
    keep: float = 1.0
    explore: Callable[[Space, Point, Sequence[float]], Point] | None = None

    @property
    def adaptive(self) -> bool:
        """Whether what a trial tries depends on the results of others."""
        return self.batch > 0 or self.explore is not None


def draws(seed: int, number: int, count: int, stream: int = 0) -> Point:
    """`count` numbers in [0, 1) that depend on the seed of the sweep and the number of the trial alone.

    Every trial has a generator of its own, so that a sweep can grow, and a further dimension changes none of the
    others.  NumPy promises to keep Philox's raw stream.
    stream   tells apart what one trial draws for several purposes
    """
    raw = np.random.Philox(key=[seed, stream << 32 | number]).random_raw(count)
    return tuple(float(number_in_unit) for number_in_unit in (raw >> np.uint64(11)) * 2.0**-53)


def _rounded(value: float, low: float, high: float) -> float:
    """The value with few digits, still inside the range."""
    return min(max(float(f"{value:.{_DIGITS}g}"), low), high)
