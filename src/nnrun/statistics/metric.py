"""What a metric is: whether more of it is better, what it can be.  Every choice of a best goes through here."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple, TypeVar

from nnrun.statistics.mean import mean_and_interval

__all__ = [
    "ANY",
    "CORRELATION",
    "OF_STEPS",
    "SHARE",
    "SIZE",
    "Bounds",
    "Ends",
    "Metric",
    "Undefined",
    "all_bounds",
    "all_ends",
    "bounds_of",
    "ends_of",
    "is_of_loss",
    "last_part",
    "metric_of",
    "of_target",
    "reasons",
    "target_of",
    "without_targets",
]

Item = TypeVar("Item")
Bounds = tuple[float, float]
Ends = list[float | None]  # bounds as files say them: None where there is none
ANY: Bounds = (-math.inf, math.inf)
SHARE: Bounds = (0.0, 1.0)
SIZE: Bounds = (0.0, math.inf)
CORRELATION: Bounds = (-1.0, 1.0)
OF_STEPS = (
    "learning_rate",
    "grad/norm",
    "update/norm",
    "update/ratio",
)  # what steps say of themselves, none below 0


class Undefined(float):
    """The value of a metric that has none on a part of the data: NaN, with the reason in a few words."""

    reason: str

    def __new__(cls, reason: str) -> Undefined:
        """NaN because of `reason`."""
        value = super().__new__(cls, math.nan)
        value.reason = reason
        return value


class Metric(NamedTuple):
    """A metric by name, such as val/accuracy.

    rising   whether more is better
    bounds   the least and the most that it can be
    """

    name: str
    rising: bool
    bounds: Bounds = ANY

    def __str__(self) -> str:
        return self.name

    def mean(self, values: Sequence[float], ratio: float = 0.0) -> tuple[float, tuple[float, float] | None]:
        """The mean of one or more values, and its 95% interval within what the metric can be; None for one value.

        ratio   of the values of folds, as `mean_and_interval` takes it
        """
        mean, half = mean_and_interval(values, ratio=ratio)
        return mean, None if half is None else self.within(mean - half, mean + half)

    def within(self, low: float, high: float) -> tuple[float, float]:
        """An interval cut to what the metric can be: a share lies in [0, 1], an error is not below 0."""
        return max(low, self.bounds[0]), min(high, self.bounds[1])

    @property
    def share(self) -> bool:
        """Whether it is a share, from 0 to 1: it is shown in percent."""
        return self.bounds == SHARE

    @property
    def ends(self) -> Ends:
        """The bounds as files say them."""
        return ends_of(self.bounds)

    @property
    def sign(self) -> float:
        """1 where more is better, -1 where less is: values times it are better the larger they are."""
        return 1.0 if self.rising else -1.0

    @property
    def goal(self) -> str:
        """`max` or `min`, as files say it."""
        return "max" if self.rising else "min"

    @property
    def words(self) -> str:
        """`more` or `less`, of which the better is."""
        return "more" if self.rising else "less"

    def gain(self, value: float, reference: float) -> float:
        """By how much a value is better than another; negative where it is worse."""
        return self.sign * (value - reference)

    def better(self, value: float, reference: float) -> bool:
        """Whether a value is better than another; NaN is not, nor is anything better than NaN."""
        return self.gain(value, reference) > 0

    def best(self, items: Iterable[Item], key: Callable[[Item], float]) -> Item | None:
        """The item with the best value, the first of equal ones; None of none."""
        return max(items, key=lambda item: self.sign * key(item), default=None)

    def worst(self, items: Iterable[Item], key: Callable[[Item], float]) -> Item | None:
        """The item with the worst value, the first of equal ones; None of none."""
        return min(items, key=lambda item: self.sign * key(item), default=None)


def metric_of(
    name: str, rising: Collection[str], bounds: Mapping[str, Bounds] = MappingProxyType({})
) -> Metric:
    """The metric of this name.

    name     with or without the part of the data and an average before it: accuracy, val/accuracy, val/ema/accuracy
    rising   the names, without anything before them, of the metrics of which more is better
    bounds   the least and the most that metrics can be, likewise by name; others can be anything
    """
    last = last_part(name)
    return Metric(name, last in rising, SIZE if name in OF_STEPS else bounds.get(last, ANY))


def is_of_loss(name: str) -> bool:
    """Whether a metric is the value of the loss that a run minimises: of two losses it means two things."""
    return last_part(name).partition("(")[0] in ("loss", "pinball")


def of_target(metric: str, target: str) -> str:
    """The name of a metric of one of several targets: rmse(height)."""
    return f"{metric}({target})"


def target_of(name: str) -> str | None:
    """Of which of several targets a metric is, by its name; None: of all, or of the only one."""
    return name.partition("(")[2][:-1] if name.endswith(")") else None


def without_targets(names: Iterable[str]) -> list[str]:
    """The names of the metrics that are not of one of several targets."""
    return [name for name in names if target_of(name) is None]


def last_part(name: str) -> str:
    """The name of a metric without the part of the data and an average before it; a target may hold a slash."""
    before, bracket, target = name.partition("(")
    return before.rpartition("/")[2] + bracket + target


def ends_of(bounds: Bounds) -> Ends:
    """Bounds as files say them."""
    return [end if math.isfinite(end) else None for end in bounds]


def bounds_of(ends: Ends) -> Bounds:
    """The bounds that a file says."""
    low, high = ends
    return -math.inf if low is None else low, math.inf if high is None else high


def all_ends(bounds: Mapping[str, Bounds]) -> dict[str, Ends]:
    """The bounds of metrics by name, as files say them; without those that can be anything."""
    return {name: ends_of(pair) for name, pair in bounds.items() if pair != ANY}


def all_bounds(ends: Mapping[str, Ends]) -> dict[str, Bounds]:
    """The bounds of metrics by name that a file says."""
    return {name: bounds_of(pair) for name, pair in ends.items()}


def reasons(metrics: Mapping[str, object]) -> dict[str, str]:
    """Why those metrics that have no value have none, by name."""
    return {name: value.reason for name, value in metrics.items() if isinstance(value, Undefined)}
