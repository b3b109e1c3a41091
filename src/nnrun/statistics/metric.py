"""What a metric is: whether more of it is better, whether it is a share.  Every choice of a best goes through here."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import NamedTuple, TypeVar

from nnrun.statistics.mean import mean_and_interval

__all__ = ["Metric", "metric_of"]

Item = TypeVar("Item")


class Metric(NamedTuple):
    """A metric by name, such as val/accuracy.

    rising   whether more is better
    share    whether it is a share of the examples: from 0 to 1, and shown in percent
    """

    name: str
    rising: bool
    share: bool = False

    def __str__(self) -> str:
        return self.name

    def mean(self, values: Sequence[float]) -> tuple[float, tuple[float, float] | None]:
        """The mean of one or more values, and its 95% interval within what the metric can be; None for one value."""
        mean, half = mean_and_interval(values)
        return mean, None if half is None else self.within(mean - half, mean + half)

    def within(self, low: float, high: float) -> tuple[float, float]:
        """An interval cut to what the metric can be: a share lies in [0, 1]."""
        return (max(low, 0.0), min(high, 1.0)) if self.share else (low, high)

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


def metric_of(name: str, rising: Collection[str], shares: Collection[str] = ()) -> Metric:
    """The metric of this name.

    name     with or without the part of the data and an average before it: accuracy, val/accuracy, val/ema/accuracy
    rising   the names, without anything before them, of the metrics of which more is better
    shares   the names, likewise, of the metrics that are shares of the examples
    """
    last = name.rpartition("/")[2]
    return Metric(name, last in rising, last in shares)
