"""Is one better than another?  Intervals, paired tests and numbers of seeds, over values by seed.

Runs of the same seed share the split of the data, so alternatives are compared seed by seed.
Random draws come from Philox with a fixed key: the same values always give the same answer.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from nnrun.statistics.mean import mean_and_interval

__all__ = [
    "ALPHA",
    "Comparison",
    "compare_all",
    "holm",
    "interval",
    "least_seeds",
    "seeds_for",
    "sign_flip_interval",
    "sign_flip_test",
]

ALPHA = 0.05
_POWER = 0.8
_RESAMPLES = 9_999
_FEWEST = 5  # values; below, resamples of a single value are too frequent for the bootstrap
_EXACT = 14  # differences up to which every flip is tried: 2^14
_FLIPS = 20_000
_MOST_SEEDS = 10_000


class Comparison(NamedTuple):
    """Two alternatives over the seeds that both finished.

    difference  mean of first − second
    low, high   its 95% interval, for this pair alone; None for fewer than two seeds
    p           of the paired test; `adjusted`: after Holm's correction over all pairs
    seeds_needed  how many seeds would tell the two apart in four of five experiments, if the difference and the
                spread are what they seem; None: more than 10,000, or nothing to go by
    """

    first: str
    second: str
    difference: float
    low: float | None
    high: float | None
    p: float
    adjusted: float
    seeds: int
    seeds_needed: int | None

    @property
    def significant(self) -> bool:
        """Whether the difference is more than chance, at 5% over all pairs together."""
        return self.adjusted <= ALPHA


def interval(values: Sequence[float], level: float = 1 - ALPHA) -> tuple[float, float] | None:
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


def sign_flip_test(differences: Sequence[float]) -> float:
    """The p-value of "the two are alike": how often flipped signs give a mean as far from 0, on either side.

    If both come from one distribution, each difference is as likely with the other sign.
    Exact up to 14 differences, else 20,000 random flips, the observed signs among them.
    Source: Fisher 1935; Good 2005, Permutation, Parametric and Bootstrap Tests of Hypotheses, 3.2.
    """
    x = np.asarray(differences, np.float64)
    # What is equal but for rounding is as far.
    return float(np.mean(np.abs(_signs(len(x)) @ x) >= abs(x.sum()) - 1e-9 * np.abs(x).sum()))


def sign_flip_interval(differences: Sequence[float]) -> tuple[float, float] | None:
    """Confidence interval of a mean difference: the shifts that `sign_flip_test` does not reject at 5%.

    So a difference that is significant for itself has an interval without 0.  Its ends are the k-th least and the
    k-th greatest of the means of all subsets, k = 2.5% of 2ⁿ; exact where differences are as likely above as below
    their mean.  Below six differences the test rejects nothing, and it is `interval`.
    Source: Hartigan 1969, Using Subsample Values as Typical Values.
    """
    x = np.asarray(differences, np.float64)
    signs = _signs(len(x))
    flipped = signs < 0
    flips_any = flipped.any(axis=1)
    # A way that flips none is as far as the observed one at any shift.
    k = int(ALPHA / 2 * len(signs)) - int((~flips_any).sum()) + 1
    if k < 1:
        return interval(differences)
    flipped = flipped[flips_any]
    means = np.partition(flipped @ x / flipped.sum(axis=1), [k - 1, len(flipped) - k])
    return float(means[k - 1]), float(means[len(flipped) - k])


def _signs(n: int) -> np.ndarray:
    """Ways to flip n signs, each with its opposite: (ways, n) float64 of ±1."""
    if n <= _EXACT:
        return 1.0 - 2.0 * (np.arange(2**n)[:, None] >> np.arange(n) & 1)
    half = _FLIPS // 2
    bits = np.random.Philox(key=n).random_raw((half - 1) * n) & np.uint64(1)
    signs = np.vstack([np.ones(n), 1.0 - 2.0 * bits.astype(np.float64).reshape(-1, n)])
    return np.vstack([signs, -signs])


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values corrected for being several: reject those ≤ α, and a false rejection among all has chance ≤ α.

    In rising order, the i-th of m (from 0) becomes the largest of (m − j) pⱼ over j ≤ i, at most 1.
    Source: Holm 1979.
    """
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    adjusted, largest = [0.0] * len(p_values), 0.0
    for rank, i in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[i]))
        adjusted[i] = largest
    return adjusted


def compare_all(values: Mapping[str, Mapping[int, float]]) -> list[Comparison]:
    """Every pair of alternatives that have at least two seeds in common, in the order given.

    values   alternative -> seed -> value of the metric; only what finished
    """
    pairs = []
    for first, second in itertools.combinations(values, 2):
        common = [seed for seed in values[first] if seed in values[second]]
        if len(common) >= 2:
            pairs.append((first, second, [values[first][s] - values[second][s] for s in common]))
    p_values = [sign_flip_test(differences) for _, _, differences in pairs]
    comparisons = []
    for (first, second, differences), p, adjusted in zip(pairs, p_values, holm(p_values), strict=True):
        low, high = sign_flip_interval(differences) or (None, None)
        mean = float(np.mean(differences))
        needed = seeds_for(differences, len(pairs))
        comparisons.append(Comparison(first, second, mean, low, high, p, adjusted, len(differences), needed))
    return comparisons


def least_seeds(pairs: int) -> int:
    """The fewest seeds with which the test can find any difference among this many pairs: 2 · pairs / 2ⁿ ≤ 5%."""
    n = 2
    while 2.0 ** (1 - n) * pairs > ALPHA:
        n += 1
    return n


def seeds_for(differences: Sequence[float], pairs: int) -> int | None:
    """How many seeds a paired t-test at 5% / pairs would need for a power of 80%, were the mean and the spread these.

    Never fewer than `least_seeds`; None if there is no difference, or more than 10,000 are needed.
    """
    from scipy.special import nctdtr, stdtrit

    mean, spread = float(np.mean(differences)), float(np.std(differences, ddof=1))
    least = least_seeds(pairs)
    if spread <= 1e-12 * max(map(abs, differences)):
        return least if mean else None

    def enough(n: int) -> bool:
        away = min(abs(mean) / spread * math.sqrt(n), 30.0)  # beyond, the power is 1
        critical = float(stdtrit(n - 1, 1 - ALPHA / (2 * pairs)))
        return float(1 - nctdtr(n - 1, away, critical)) >= _POWER

    low, high = least, least
    if enough(low):
        return low
    while not enough(high):
        low, high = high, 2 * high
        if low > _MOST_SEEDS:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high if high <= _MOST_SEEDS else None
