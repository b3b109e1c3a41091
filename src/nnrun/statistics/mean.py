"""Statistics over a handful of runs."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

__all__ = ["mean_and_interval"]


def mean_and_interval(values: Sequence[float], level: float = 0.95) -> tuple[float, float | None]:
    """Mean, and half the width of its confidence interval: t · s / √n with n − 1 degrees of freedom.

    values  independent, roughly normal; one value has no interval (None)
    """
    mean = statistics.fmean(values)
    n = len(values)
    if n < 2:
        return mean, None
    from scipy.special import stdtrit  # scipy.stats would add half a second

    t = float(stdtrit(n - 1, (1 + level) / 2))
    return mean, t * statistics.stdev(values) / math.sqrt(n)
