"""What tuning costs: how good the best of k trials is, and how alternatives compare over several data sets."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

__all__ = ["BestOf", "at_budget", "best_of_k", "expected_best", "performance_profile", "running_best"]

_RESAMPLES = 1000
_MOST_POINTS = 40


class BestOf(NamedTuple):
    """The best value that k trials of tuning can be expected to find; low, high: its 95% interval, if known."""

    k: int
    value: float
    low: float | None
    high: float | None


def expected_best(values: Sequence[float], k: int, rising: bool) -> float:
    """The expected best of k trials drawn from these without replacement, which is unbiased for new trials.

    Σᵢ x₍ᵢ₎ C(i − 1, k − 1) / C(n, k),  x₍₁₎ ≤ ... ≤ x₍ₙ₎ from the worst to the best

    rising   whether more is better
    Raises ValueError unless 1 ≤ k ≤ n.
    Source: Dodge et al. 2019, Show Your Work, without replacement as in Tang et al. 2020.
    """
    ordered = np.sort(values) if rising else np.sort(values)[::-1]
    return float(_weights(len(ordered), k) @ ordered)


def best_of_k(values: Sequence[float], rising: bool) -> list[BestOf]:
    """`expected_best` for k = 1 ... n (some of them if n is large), with percentile intervals over resampled trials.

    values   of independent trials, in any order
    For large k the interval is optimistic: no resample has a better trial than the best.
    """
    x = np.asarray(values, np.float64)
    n = len(x)
    ks = np.unique(np.geomspace(1, n, min(n, _MOST_POINTS)).round().astype(int)) if n > _MOST_POINTS else None
    ks = list(range(1, n + 1)) if ks is None else ks.tolist()
    draws = (np.random.Philox(key=n).random_raw(_RESAMPLES * n) % np.uint64(n)).astype(np.int64)
    signed = x if rising else -x
    weights = np.stack([_weights(n, k) for k in ks])  # (ks, n)
    resampled = np.sort(signed[draws].reshape(_RESAMPLES, n), axis=1) @ weights.T  # (resamples, ks)
    center = weights @ np.sort(signed)
    ends = np.quantile(resampled, [0.025, 0.975], axis=0)
    sign = 1.0 if rising else -1.0
    return [
        BestOf(k, sign * float(center[i]), *sorted((sign * float(ends[0, i]), sign * float(ends[1, i]))))
        for i, k in enumerate(ks)
    ]


def running_best(values: Sequence[float], rising: bool) -> list[BestOf]:
    """The best so far, for a search whose later trials depend on the earlier: they cannot be drawn in any order."""
    best = np.maximum.accumulate(values) if rising else np.minimum.accumulate(values)
    return [BestOf(k, float(value), None, None) for k, value in enumerate(best, start=1)]


def _weights(n: int, k: int) -> np.ndarray:
    """Chance that the i-th of n in rising order is the largest of k of them: (n,) float64."""
    if not 1 <= k <= n:
        raise ValueError(f"the best of {k} out of {n} trials; k must be in 1 ... {n}")
    from scipy.special import gammaln

    i = np.arange(k, n + 1)
    # C(i − 1, k − 1) / C(n, k) by logarithms, since the binomials overflow.
    logs = gammaln(i) - gammaln(i - k + 1) - gammaln(k)
    total = gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1)
    return np.concatenate([np.zeros(k - 1), np.exp(logs - total)])


def performance_profile(costs: Mapping[str, Sequence[float]]) -> dict[str, list[tuple[float, float]]]:
    """For each alternative the points (τ, share of problems on which its cost is at most τ times the least).

    costs   alternative -> cost on each problem, > 0; infinite where it failed
    Problems on which all failed count for none.  The share at τ = 1 says how often it is the best.
    Source: Dolan & Moré 2002.
    """
    table = np.array([costs[label] for label in costs], np.float64)  # (alternatives, problems)
    problems = table.shape[1]
    least = table.min(axis=0)
    with np.errstate(invalid="ignore"):
        ratios = np.where(np.isfinite(table), table / least, math.inf)
    points = {}
    for label, row in zip(costs, ratios, strict=True):
        reached = np.sort(row[np.isfinite(row)])
        points[label] = [(float(r), (i + 1) / problems) for i, r in enumerate(reached)]
    return points


def at_budget(curve: Sequence[BestOf], k: int) -> float:
    """The value of a curve at a budget of k trials, or at the next smaller one that is known."""
    return [point.value for point in curve if point.k <= k][-1]
