"""Is one method better than another, where the whole search of each was repeated?  A study is one search.

The value of a study is that of the setting that it chose, so it has the luck of its draws and that of its seeds.
Studies have nothing in common, so there is nothing to pair: the values of two methods are two independent samples.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from functools import lru_cache

import numpy as np

from nnrun.statistics.compare import fewest, holm, over_examples, share_higher, with_claims
from nnrun.statistics.comparison import PairComparison
from nnrun.statistics.sign_flips import ALPHA

__all__ = [
    "compare_studies",
    "least_studies",
    "studies_for",
    "study_comparison",
    "study_interval",
    "study_test",
]

_EXACT = 8  # studies of each up to which all deals are tried: C(16, 8) = 12,870
_DEALS = 20_000
_POWER = 0.8


def compare_studies(
    values: Mapping[str, Mapping[int, float]],
    unknown: Mapping[str, str] | None = None,
    resamples: Mapping[str, np.ndarray] | None = None,
    looks: int = 1,
) -> list[PairComparison]:
    """Every pair of alternatives that have at least two studies in common, in the order given.

    values    alternative -> study -> value of the setting that it chose
    unknown   alternative -> why its studies say nothing of the method; only of those of which that is so
    resamples alternative -> its mean over the studies in resamples of the examples, the same ones for all
    looks     how often such an answer is looked at before it is the last: corrected p-values are multiplied by it
    """
    names = [
        (first, second)
        for first, second in itertools.combinations(values, 2)
        if len(values[first].keys() & values[second].keys()) >= 2
    ]
    pairs = []
    for first, second in names:
        common = [study for study in values[first] if study in values[second]]
        a, b = ([values[name][study] for study in common] for name in (first, second))
        pair = study_comparison(first, second, a, b, len(names) * looks)
        examples = over_examples(
            pair.difference, [(resamples or {}).get(first)], [(resamples or {}).get(second)]
        )
        reasons = [reason for name in (first, second) if (reason := (unknown or {}).get(name))]
        pairs.append(pair._replace(examples=examples, searched=bool(reasons), unknown="; ".join(reasons)))
    corrected = holm([pair.p for pair in pairs], looks)
    return with_claims([pair._replace(adjusted=p) for pair, p in zip(pairs, corrected, strict=True)], looks)


def study_comparison(
    first: str, second: str, a: Sequence[float], b: Sequence[float], pairs: int
) -> PairComparison:
    """Two methods by the values of as many studies of each, two or more; nothing is corrected yet.

    pairs   how many such tests, in all looks together, must be told from chance
    """
    low, high = study_interval(a, b)
    p = study_test(a, b)
    return PairComparison(
        first, second, float(np.mean(a) - np.mean(b)), low, high, p, p, len(a), studies_for(a, b, pairs),
        higher=share_higher(a, b), studies=len(a),
    )  # fmt: skip


def study_test(a: Sequence[float], b: Sequence[float]) -> float:
    """The p-value of "both methods are alike": the larger one of two tests of the difference of the means.

    Permutation: if both are alike, each value could as well be the other's; p is the share of all ways to deal them
    in which the means differ as much.  Exact up to eight studies of each, else 20,000 random deals, the observed one
    among them.  It asks for nothing but equal distributions.
    Welch's t: it does not ask for equal spreads.  Without it, four studies of a method that always finds the same and
    four of one that does not would be called different in 12 of 100 cases.
    a, b   (n,) and (n,), n ≥ 2
    Source: Fisher 1935; Welch 1947.
    """
    x, n = np.concatenate([a, b]).astype(np.float64), len(a)
    x = x - x.mean()
    # What is equal but for rounding is as far.
    sums = np.abs(_deals(n) @ x)
    dealt = float(np.mean(sums >= abs(x[:n].sum()) - 1e-9 * np.abs(x).sum()))
    return max(dealt, _welch_test(x[:n], x[n:]))


def study_interval(a: Sequence[float], b: Sequence[float]) -> tuple[float, float]:
    """Confidence interval of the difference of the means, first − second: the shifts that `study_test` keeps at 5%.

    So a difference that is significant for itself has an interval without 0.  The shifts that the permutation test
    keeps end at the k-th least and the k-th greatest of mean(S) − mean(T), over all exchanges of a subset S of the
    first with one T of the second of its size; k = 2.5% of all deals.  Below four studies it rejects nothing, and the
    interval is Welch's.
    a, b   (n,) and (n,), n ≥ 2
    """
    x, y = np.asarray(a, np.float64), np.asarray(b, np.float64)
    low, high = _welch_interval(x, y)
    deals, n = _deals(len(x)), len(x)
    given, taken = 1.0 - deals[:, :n], deals[:, n:]
    exchanged = taken.any(axis=1)
    k = int(ALPHA / 2 * len(deals)) - int((~exchanged).sum()) + 1
    if k < 1:
        return low, high
    given, taken = given[exchanged], taken[exchanged]
    shifts = np.partition((given @ x - taken @ y) / taken.sum(axis=1), [k - 1, len(taken) - k])
    return min(low, float(shifts[k - 1])), max(high, float(shifts[len(taken) - k]))


@lru_cache(maxsize=4)
def _deals(n: int) -> np.ndarray:
    """Ways to deal 2n values to two hands of n: (ways, 2n) float64, 1 for the first hand; each with its opposite."""
    if n <= _EXACT:
        hands = np.array(list(itertools.combinations(range(2 * n), n)))
    else:
        half = _DEALS // 2
        drawn = np.argsort(np.random.Philox(key=n).random_raw((half - 1) * 2 * n).reshape(-1, 2 * n), axis=1)
        drawn = np.vstack([np.arange(2 * n), drawn])
        hands = np.vstack([drawn[:, :n], drawn[:, n:]])
    deals = np.zeros((len(hands), 2 * n))
    np.put_along_axis(deals, hands, 1.0, axis=1)
    return deals


def _welch(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """The standard error of the difference of two means, and its degrees of freedom (Welch-Satterthwaite)."""
    n = len(x)
    parts = np.var(x, ddof=1) / n, np.var(y, ddof=1) / n
    total = float(sum(parts))
    squares = float(sum(part**2 for part in parts))
    return math.sqrt(total), (n - 1) * total**2 / squares if squares else n - 1.0


def _welch_test(x: np.ndarray, y: np.ndarray) -> float:
    from scipy.special import stdtr  # scipy.stats would add half a second

    error, freedom = _welch(x, y)
    difference = abs(float(x.mean() - y.mean()))
    if error <= 1e-12 * max(np.abs(x).max(), np.abs(y).max()):
        return 0.0 if difference else 1.0
    return 2 * float(stdtr(freedom, -difference / error))


def _welch_interval(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    from scipy.special import stdtrit

    error, freedom = _welch(x, y)
    difference, half = float(x.mean() - y.mean()), float(stdtrit(freedom, 1 - ALPHA / 2)) * error
    return difference - half, difference + half


def least_studies(pairs: int) -> int:
    """The fewest studies of each with which any of this many pairs can be told apart: 2 · pairs / C(2n, n) ≤ 5%."""
    n = 2
    while 2 * pairs > ALPHA * math.comb(2 * n, n):
        n += 1
    return n


def studies_for(a: Sequence[float], b: Sequence[float], pairs: int) -> int | None:
    """How many studies of each a t-test at 5% / pairs would need for a power of 80%, were means and spreads these.

    Never fewer than `least_studies`; None if there is no difference, or more than 10,000 are needed.
    """
    from scipy.special import nctdtr, stdtrit

    difference = abs(float(np.mean(a) - np.mean(b)))
    spread = math.sqrt((np.var(a, ddof=1) + np.var(b, ddof=1)) / 2)
    least = least_studies(pairs)
    if spread <= 1e-12 * float(np.abs([*a, *b]).max()):
        return least if difference else None

    def enough(n: int) -> bool:
        away = min(difference / spread * math.sqrt(n / 2), 30.0)  # beyond, the power is 1
        critical = float(stdtrit(2 * n - 2, 1 - ALPHA / (2 * pairs)))
        return float(1 - nctdtr(2 * n - 2, away, critical)) >= _POWER

    return fewest(enough, least)
