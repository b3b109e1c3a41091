"""Is one better than another?  Paired tests and numbers of seeds, over values by seed; and over other searches.

Runs of the same seed share the split of the data, so alternatives are compared seed by seed.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from nnrun.statistics.blocks import Side, with_searches
from nnrun.statistics.comparison import PairComparison
from nnrun.statistics.gain import spread
from nnrun.statistics.searches import Searched
from nnrun.statistics.sign_flips import ALPHA, sign_flip_interval, sign_flip_test

__all__ = [
    "compare_all",
    "fewest",
    "holm",
    "least_p",
    "least_seeds",
    "over_examples",
    "seeds_for",
    "share_higher",
    "with_claims",
]

_POWER = 0.8
_MOST_SEEDS = 10_000


def holm(p_values: Sequence[float], looks: int = 1) -> list[float]:
    """p-values corrected for being several: reject those ≤ α, and a false rejection among all has chance ≤ α.

    In rising order, the i-th of m (from 0) becomes the largest of (m − j) pⱼ over j ≤ i, at most 1.
    looks   how often such tests are made, any of which may be the last: each p is multiplied by it (Bonferroni)
    Source: Holm 1979.
    """
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    adjusted, largest = [0.0] * len(p_values), 0.0
    for rank, i in enumerate(order):
        largest = max(largest, min(1.0, looks * (len(p_values) - rank) * p_values[i]))
        adjusted[i] = largest
    return adjusted


def compare_all(
    values: Mapping[str, Mapping[int, float]],
    searched: Mapping[str, Searched | str | None] | None = None,
    resamples: Mapping[str, np.ndarray] | None = None,
    looks: int = 1,
) -> list[PairComparison]:
    """Every pair of alternatives that have at least two seeds in common, in the order given.

    values    alternative -> seed -> value of the metric; only what finished
    searched  alternative -> the trials that its setting was chosen from; why they say nothing of other searches;
              or None: it was not searched for.  Without it no setting was.
    resamples alternative -> its mean over the seeds in resamples of the examples, the same ones for all
    looks     how often such an answer is looked at before it is the last: corrected p-values are multiplied by it
    """
    pairs = []
    for first, second in itertools.combinations(values, 2):
        common = [seed for seed in values[first] if seed in values[second]]
        if len(common) >= 2:
            pairs.append((first, second, [values[first][s] - values[second][s] for s in common]))
    p_values = [sign_flip_test(differences) for _, _, differences in pairs]
    comparisons = []
    for (first, second, differences), p, adjusted in zip(pairs, p_values, holm(p_values, looks), strict=True):
        low, high = sign_flip_interval(differences) or (None, None)
        mean = float(np.mean(differences))
        needed = seeds_for(differences, len(pairs) * looks)
        comparison = PairComparison(
            first, second, mean, low, high, p, adjusted, len(differences), needed,
            higher=share_higher([*values[first].values()], [*values[second].values()]),
            examples=over_examples(mean, [(resamples or {}).get(first)], [(resamples or {}).get(second)]),
        )  # fmt: skip
        sides = tuple(Side(values[name], (searched or {}).get(name)) for name in (first, second))
        level = ALPHA / (len(pairs) * looks) if comparison.significant else None
        comparisons.append(with_searches(comparison, [(sides[0], sides[1])], level))
    return with_claims(comparisons, looks)


def with_claims(comparisons: Sequence[PairComparison], looks: int = 1) -> list[PairComparison]:
    """Holm's correction over the pairs of which it can be said whether one method is better.

    The p-value of a claim is the worse one of its tests: over seeds and searches and, for the verdict, over all that is
    left to chance, where something is known of the examples.
    """
    known = [i for i, pair in enumerate(comparisons) if pair.searches or not pair.searched]
    worse = {i: max(comparisons[i].p, _search_p(comparisons[i])) for i in known}
    worst = {
        i: max(p, comparisons[i].overall_p if comparisons[i].examples else 0.0) for i, p in worse.items()
    }
    claims, verdicts = (
        dict(zip(known, holm([*p_values.values()], looks), strict=True)) for p_values in (worse, worst)
    )
    # A claim is no surer than its difference, of which there may be more.
    return [
        pair._replace(claim=max(claims[i], pair.adjusted), verdict=max(verdicts[i], pair.adjusted))
        if i in claims
        else pair._replace(claim=None, verdict=None)
        for i, pair in enumerate(comparisons)
    ]


def _search_p(pair: PairComparison) -> float:
    return pair.searches.p if pair.searches else 0.0


def over_examples(
    difference: float, first: Sequence[np.ndarray | None], second: Sequence[np.ndarray | None]
) -> tuple[float, float] | None:
    """95% interval of a difference over other examples: the middle of what it is in resamples of them.

    first, second   of each side, in each resample; of several, their means are compared
    """
    a, b = ([values for values in side if values is not None] for side in (first, second))
    if len(a) < len(first) or len(b) < len(second) or len({len(values) for values in (*a, *b)}) > 1:
        return None
    below, above = spread(np.mean(a, axis=0) - np.mean(b, axis=0), difference)
    return difference - below, difference + above


def share_higher(first: Sequence[float], second: Sequence[float]) -> float:
    """The share of all pairs, one of each side, in which the first is higher; equal ones count half."""
    gaps = np.sign(np.subtract.outer(np.asarray(first), np.asarray(second)))
    return float((1 + gaps.mean()) / 2)


def least_p(seeds: int, pairs: int) -> float:
    """The least p-value that the test can give with this many seeds, after Holm's correction: 2 · pairs / 2ⁿ."""
    return min(1.0, pairs * 2.0 ** (1 - seeds))


def least_seeds(pairs: int) -> int:
    """The fewest seeds with which the test can find any difference among this many pairs."""
    n = 2
    while least_p(n, pairs) > ALPHA:
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

    return fewest(enough, least)


def fewest(enough: Callable[[int], bool], least: int) -> int | None:
    """The least number from `least` on that is enough, where every larger one is too; None: more than 10,000."""
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
