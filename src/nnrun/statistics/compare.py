"""Is one better than another?  Paired tests and numbers of seeds, over values by seed; and over other searches.

Runs of the same seed share the split of the data, so alternatives are compared seed by seed.
Random draws come from Philox with a fixed key: the same values always give the same answer.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from nnrun.statistics.mean import mean_and_interval
from nnrun.statistics.searches import FEWEST_TRIALS, OverSearches, Searched, over_searches

__all__ = [
    "ALPHA",
    "Comparison",
    "OverSearches",
    "compare_all",
    "holm",
    "least_seeds",
    "seeds_for",
    "sign_flip_interval",
    "sign_flip_test",
]

ALPHA = 0.05
_POWER = 0.8
_EXACT = 14  # differences up to which every flip is tried: 2^14
_FLIPS = 20_000
_MOST_SEEDS = 10_000


class Comparison(NamedTuple):
    """Two alternatives over the seeds that both finished, and over other draws of their searches.

    difference  mean of first − second
    low, high   its 95% interval at these settings, for this pair alone; None for fewer than two seeds
    p           of the paired test over seeds; `adjusted`: after Holm's correction over all pairs
    seeds_needed  how many seeds would tell the two apart in four of five experiments, if the difference and the
                spread are what they seem; None: more than 10,000, or nothing to go by
    searched    whether a setting of the two was searched for, so that another search could have found another one
    searches    what is known of other searches; None if nothing was searched for, or nothing is known
    unknown     why nothing is known of them
    claim       p-value of "one method is better": of the worse of both tests, after Holm's correction over the pairs
                of which it can be said; None where it cannot
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
    searched: bool = False
    searches: OverSearches | None = None
    unknown: str = ""
    claim: float | None = None

    @property
    def significant(self) -> bool:
        """Whether the difference at these settings is more than chance, at 5% over all pairs together."""
        return self.adjusted <= ALPHA

    @property
    def decided(self) -> bool:
        """Whether one method is better, at 5% over all pairs together: for these seeds and for other searches."""
        if not self.searched:
            return self.significant
        if self.searches is None or self.claim is None:
            return False
        ends = self.searches.low * self.difference, self.searches.high * self.difference
        return self.significant and self.claim <= ALPHA and min(ends) > 0

    def as_data(self) -> dict[str, object]:
        """All of it as plain data."""
        searches = self.searches and self.searches._asdict()
        verdicts = {"significant": self.significant, "decided": self.decided}
        return {**self._asdict(), "searches": searches, **verdicts}


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
    their mean.  Below six differences the test rejects nothing, and it is Student's;
    one difference has none.
    Source: Hartigan 1969, Using Subsample Values as Typical Values.
    """
    x = np.asarray(differences, np.float64)
    signs = _signs(len(x))
    flipped = signs < 0
    flips_any = flipped.any(axis=1)
    # A way that flips none is as far as the observed one at any shift.
    k = int(ALPHA / 2 * len(signs)) - int((~flips_any).sum()) + 1
    if k < 1:
        mean, half = mean_and_interval(differences)
        return None if half is None else (mean - half, mean + half)
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


def compare_all(
    values: Mapping[str, Mapping[int, float]], searched: Mapping[str, Searched | str | None] | None = None
) -> list[Comparison]:
    """Every pair of alternatives that have at least two seeds in common, in the order given.

    values    alternative -> seed -> value of the metric; only what finished
    searched  alternative -> the trials that its setting was chosen from; why they say nothing of other searches;
              or None: it was not searched for.  Without it no setting was.
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
        comparison = Comparison(first, second, mean, low, high, p, adjusted, len(differences), needed)
        comparisons.append(_over_searches(comparison, values, searched or {}, len(pairs)))
    return _with_claims(comparisons)


def _over_searches(
    pair: Comparison,
    values: Mapping[str, Mapping[int, float]],
    searched: Mapping[str, Searched | str | None],
    pairs: int,
) -> Comparison:
    """The comparison with what other searches would have found, or why that is not known."""
    first, second = searched.get(pair.first), searched.get(pair.second)
    if first is None and second is None:
        return pair
    pair = pair._replace(searched=True)
    if not isinstance(first, Searched) or not isinstance(second, Searched):
        reasons = [side for side in (first, second) if isinstance(side, str)]
        return pair._replace(unknown=(reasons or ["only one of the two was searched for"])[0])
    seeds = [seed for seed in values[pair.first] if seed in values[pair.second]]
    first = first.with_chosen([values[pair.first][seed] for seed in seeds])
    second = second.with_chosen([values[pair.second][seed] for seed in seeds])
    trials = min(len(first.tests), len(second.tests))
    if trials < FEWEST_TRIALS:
        return pair._replace(unknown=f"{trials} different trials are fewer than {FEWEST_TRIALS}")
    level = ALPHA / pairs if pair.significant else None
    return pair._replace(searches=over_searches(first, second, level))


def _with_claims(comparisons: Sequence[Comparison]) -> list[Comparison]:
    """Holm's correction over the pairs of which it can be said whether one method is better."""
    worse = {
        i: max(pair.p, pair.searches.p if pair.searches else 0.0)
        for i, pair in enumerate(comparisons)
        if pair.searches or not pair.searched
    }
    claims = dict(zip(worse, holm([*worse.values()]), strict=True))
    # A claim is no surer than its difference, of which there may be more.
    claims = {i: max(claim, comparisons[i].adjusted) for i, claim in claims.items()}
    return [pair._replace(claim=claims.get(i)) for i, pair in enumerate(comparisons)]


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
