"""Statistics over a handful of runs."""

from __future__ import annotations

import functools
import math
import statistics
from collections.abc import Sequence

import numpy as np

__all__ = ["interval", "mean_and_interval"]

_RESAMPLES = 9_999
_FEWEST = 5  # values; below, resamples of a single value are too frequent for the bootstrap


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


def interval(values: Sequence[float], level: float = 0.95) -> tuple[float, float] | None:
    """Confidence interval of a mean by the studentized bootstrap; None for one value.

    t* = √n (m* − m) / s*  over resamples;  [m − t*₀.₉₇₅ s/√n, m − t*₀.₀₂₅ s/√n]

    values   independent, of any shape of distribution
    For fewer than five values, and where a resample has no spread too often (ties), it is Student's t interval.
    It covers the mean in 94 to 96% of cases from 5 to 20 values that are normal or of skewness 1 (92% at n = 5 and
    skewness 2); the percentile and BCa intervals cover 83 to 85% at n = 5, 88 to 92% at n = 10.
    Source: Efron & Tibshirani 1993, An Introduction to the Bootstrap, 12.5.
    """
    x = np.asarray(values, np.float64)
    n = len(x)
    if n < 2:
        return None
    mean = float(x.mean())
    error = float(x.std(ddof=1)) / math.sqrt(n)
    if n >= _FEWEST and error > 0:
        low, high = _studentized(x - mean, level)
        if math.isfinite(low) and math.isfinite(high):
            return mean - high * error, mean - low * error
    half = mean_and_interval(values, level)[1] or 0.0
    return mean - half, mean + half


def _studentized(centered: np.ndarray, level: float) -> tuple[float, float]:
    """The quantiles of t* that leave out (1 − level) / 2 at each end; infinite where s* is 0."""
    n = len(centered)
    shares = _resamples(n)
    means = shares @ centered
    variances = np.maximum(shares @ centered**2 - means**2, 0.0)
    flat = variances <= 1e-12 * float((centered**2).mean())
    errors = np.sqrt(np.where(flat, 1.0, variances) / (n - 1))  # s*² / n, with n − 1 degrees of freedom
    t = np.where(flat, np.copysign(np.inf, means), means / errors)
    cut = round((len(t) + 1) * (1 - level) / 2)
    t = np.partition(t, [cut - 1, len(t) - cut])
    return float(t[cut - 1]), float(t[-cut])


@functools.lru_cache(maxsize=16)
def _resamples(n: int) -> np.ndarray:
    """How often each of n values is in each resample, over n: (resamples, n) float64."""
    draws = np.random.Philox(key=n).random_raw(_RESAMPLES * n) % np.uint64(n)
    rows = np.repeat(np.arange(_RESAMPLES, dtype=np.int64), n)
    counts = np.bincount(rows * n + draws.astype(np.int64), minlength=_RESAMPLES * n)
    return counts.reshape(_RESAMPLES, n) / n
