"""The mean of a handful of runs, and its confidence interval: Student's, everywhere in nnrun."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

__all__ = ["interquartile_mean", "mean_and_interval", "standard_widths"]


def mean_and_interval(
    values: Sequence[float], level: float = 0.95, ratio: float = 0.0
) -> tuple[float, float | None]:
    """Mean, and half the width of its confidence interval: t · s · √(1/n + ratio) with n − 1 degrees of freedom.

    values  one value has no interval (None)
    ratio   0 for independent values; of the n folds of a cross-validation the examples that validate to those that
            train: folds train on mostly the same examples, so their values vary together, and of this s shows
            nothing.  Source: Nadeau & Bengio 2003, Inference for the Generalization Error, section 3.
    How often it holds the mean for other shapes than the normal one: docs/statistics.md.  `Metric.mean` cuts it to
    what the metric can be.
    """
    mean = statistics.fmean(values)
    if len(values) < 2:
        return mean, None
    return mean, standard_widths(len(values), level, ratio) * statistics.stdev(values)


def interquartile_mean(values: Sequence[float]) -> float:
    """The mean of the middle half: what is left without the n // 4 least and the n // 4 greatest of n values.

    A run that went wrong moves it less than the mean, and it wastes less of the others than the median does.
    Source: Agarwal et al. 2021, "Deep reinforcement learning at the edge of the statistical precipice".
    """
    cut = len(values) // 4
    return statistics.fmean(sorted(values)[cut : len(values) - cut])


def standard_widths(n: int, level: float = 0.95, ratio: float = 0.0) -> float:
    """t · √(1/n + ratio): half the width of the interval of the mean of n ≥ 2 values, in their standard deviations."""
    from scipy.special import stdtrit  # scipy.stats would add half a second

    return float(stdtrit(n - 1, (1 + level) / 2)) * math.sqrt(1 / n + ratio)
