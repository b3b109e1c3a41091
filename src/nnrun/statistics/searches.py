"""Would another search have turned it round?  A test, an interval and numbers of trials over the luck of its draws.

The best of a few trials is good partly because one of them happened to lie well.  Fresh seeds of the two chosen
settings know nothing of that: they compare two settings, not two methods.  What follows asks for the trials to be
independent of each other, as those of a random search are, and for nothing about their distribution.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

__all__ = [
    "FEWEST_TRIALS",
    "OverSearches",
    "Searched",
    "exchange_test",
    "halves",
    "in_order",
    "next_best",
    "over_searches",
    "search_interval",
    "trials_for",
]

FEWEST_TRIALS = 8  # below, halves of four say too little of the luck
_ALPHA = 0.05
_DRAWS = 10_000
_MOST_SHIFTS = 1_000
_POWER = 0.8
_SIMULATIONS = 200
_MOST_TRIALS = 20  # times as many as there are


class Searched(NamedTuple):
    """The trials of one alternative, from the best to the worst by validation.

    validation  (n,) what they were ranked by, signed so that more is better; −inf for one that diverged
    tests       for each trial, the values that are compared: the first trial has those of its fresh seeds
    sign        1 where more of what is compared is better, −1 where less is
    """

    validation: np.ndarray
    tests: list[np.ndarray]
    sign: float = 1.0

    @property
    def means(self) -> np.ndarray:
        """(n,) mean value of each trial."""
        return np.array([float(np.mean(values)) for values in self.tests])

    def with_chosen(self, values: Sequence[float]) -> Searched:
        """The same with other values of the chosen trial."""
        return self._replace(tests=[np.array(values), *self.tests[1:]])


class OverSearches(NamedTuple):
    """What other draws of the searches of two alternatives would have found.

    low, high   95% interval of the difference, for this pair alone
    p           of `exchange_test`, for this pair alone
    trials      of the alternative that has fewer
    trials_needed  how many of each would tell the two apart in four of five searches, if further trials are like
                these; None: more than twenty times as many, or not asked
    """

    low: float
    high: float
    p: float
    trials: int
    trials_needed: int | None


def over_searches(first: Searched, second: Searched, level: float | None) -> OverSearches:
    """What other searches would have found.

    level   of the test, if it is asked how many trials would reach it
    """
    p, (low, high) = exchange_test(first, second), search_interval(first, second)
    needed = trials_for(first, second, level) if level is not None and p > level else None
    return OverSearches(low, high, p, min(len(first.tests), len(second.tests)), needed)


def exchange_test(first: Searched, second: Searched) -> float:
    """How often the best trials of two searches differ as much as here, if the labels of all trials are exchanged.

    If both searches drew alike, every trial could as well be the other's.  Deal all n₁ + n₂ trials anew: the best of
    them goes to one side, and the k − 1 next ones with it; the other side's best is the one after, with chance
        P(k) = n₁(n₁ − 1)...(n₁ − k + 1) n₂ / (N(N − 1)...(N − k)),   and the same with the sides changed.
    p is the sum over the k at which the values of the two bests differ at least as much as the observed ones.  If
    trials are alike in distribution it is exact for any number of them and any distribution, and costs no training;
    that the two chosen have fresh values and the others their own makes it reject less often.  Of equal ranks either
    may be the better one: the larger p counts.  Methods whose best is alike, but not the spread of their trials, it
    can call different more often than its level: see docs/statistics.md.
    Source: Fisher 1935; Good 2005, Permutation, Parametric and Bootstrap Tests of Hypotheses, for the best of n.
    """
    shift = np.zeros(1)
    return max(float(_shifted(first, second, shift)[0]), float(_shifted(second, first, shift)[0]))


def _shifted(first: Searched, second: Searched, shifts: np.ndarray) -> np.ndarray:
    """The p-values of "the first is better by this much", for each shift."""
    count = len(shifts), 1
    ranks = first.validation - first.sign * shifts[:, None], np.tile(second.validation, count)
    values = first.means - shifts[:, None], np.tile(second.means, count)
    return _exchange(ranks, values)


def _exchange(ranks: tuple[np.ndarray, np.ndarray], values: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """The p-values of pairs of searches, a row each; their trials stand from the best to the worst.

    ranks, values   of both sides: (rows, n) and (rows, m)
    """
    n, m = ranks[0].shape[1], ranks[1].shape[1]
    ordered = in_order(ranks, values)
    observed = np.abs(values[0][:, :1] - values[1][:, :1])
    # What is equal but for rounding is as far.
    as_far = np.abs(ordered[:, :1] - ordered[:, 1:]) >= observed - 1e-9 * np.abs(ordered).max(
        axis=1, keepdims=True
    )
    p = as_far[:, :n] @ next_best(n, m) + as_far[:, :m] @ next_best(m, n)
    return np.minimum(p, 1.0)


def in_order(ranks: tuple[np.ndarray, np.ndarray], values: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """The values of the trials of both sides from the best to the worst, (rows, n + m).

    ranks, values   of both sides: (rows, n) and (rows, m)
    Of equal ranks the one that stands first in its own search comes first.
    """
    n, m = ranks[0].shape[1], ranks[1].shape[1]
    place = np.argsort(np.concatenate([np.arange(n), np.arange(m)]), kind="stable")
    order = place[np.argsort(-np.hstack(ranks)[:, place], axis=1, kind="stable")]
    return np.take_along_axis(np.hstack(values), order, axis=1)


def next_best(n: int, m: int) -> np.ndarray:
    """P(k) for k = 1 ... n: the k best of n + m are on the side that has n, the next one is not.  (n,)"""
    k = np.arange(1, n + 1)
    all_k = np.cumprod((n - k + 1) / (n + m - k + 1))
    return all_k * m / (n + m - k)


def search_interval(first: Searched, second: Searched) -> tuple[float, float]:
    """95% interval of the difference of two methods, first − second, over other draws of their searches and seeds.

    The hull of two intervals:
      the shifts of one side that `exchange_test` does not reject
      d ± the 95% quantile of |D* − E D*|, where D* is the difference of the bests of halves of the trials, drawn
      without replacement, each with its seeds drawn anew: the spread over halves is that over searches of n
      (delete-d jackknife).  The centre is d, since the best of a half is worse, and not equally so for both.
    """
    difference = float(first.means[0] - second.means[0])
    half = float(np.quantile(np.abs(_centred_halves(first, second)), 1 - _ALPHA))
    low, high = difference - half, difference + half
    shifts = _shifts(first, second)
    kept = shifts[_shifted(first, second, shifts) > _ALPHA]
    return float(min([low, *kept[:1]])), float(max([high, *kept[-1:]]))


def _shifts(first: Searched, second: Searched) -> np.ndarray:
    """The shifts at which the order of the trials changes, those between them, and none."""
    finite_a, finite_b = np.isfinite(first.validation), np.isfinite(second.validation)
    gaps = first.sign * np.subtract.outer(first.validation[finite_a], second.validation[finite_b]).ravel()
    gaps = np.unique(np.concatenate([gaps, np.subtract.outer(first.means, second.means).ravel()]))
    if len(gaps) > _MOST_SHIFTS:
        gaps = np.unique(np.quantile(gaps, np.linspace(0, 1, _MOST_SHIFTS)))
    return np.unique(np.concatenate([gaps, (gaps[1:] + gaps[:-1]) / 2, [0.0]]))


def _centred_halves(first: Searched, second: Searched) -> np.ndarray:
    """(draws,) differences of the bests of halves, less their expectation."""
    return halves(first, 1) - halves(second, 2)


def halves(searched: Searched, stream: int) -> np.ndarray:
    """(draws,) values of the best of a half of the trials, its seeds drawn anew, less their expectation."""
    chances = _best_of_half(len(searched.tests))
    generator = np.random.Generator(np.random.Philox(key=[stream, len(searched.tests)]))
    rank = np.searchsorted(np.cumsum(chances)[:-1], generator.random(_DRAWS), side="right")
    values = np.empty(_DRAWS)
    for i, tests in enumerate(searched.tests[: len(chances)]):
        drawn = np.flatnonzero(rank == i)
        values[drawn] = tests[generator.integers(0, len(tests), (len(drawn), len(tests)))].mean(axis=1)
    return values - float(chances @ searched.means[: len(chances)])


def _best_of_half(n: int) -> np.ndarray:
    """Chance that the trial of rank r = 0, 1, ... is the best of a half of n: C(n − 1 − r, h − 1) / C(n, h)."""
    h = max(1, n // 2)
    return np.array([math.comb(n - 1 - r, h - 1) / math.comb(n, h) for r in range(n - h + 1)])


def trials_for(first: Searched, second: Searched, level: float) -> int | None:
    """How many trials of each would let `exchange_test` get to a level in four of five searches.

    By simulation, from trials like those that were made, drawn with replacement; so it is a rough number.  None: more
    than twenty times as many as there are, or the best trials do not differ.
    """
    n = min(len(first.tests), len(second.tests))
    sizes = sorted({math.ceil(n * factor) for factor in (1.25, 1.5, 2, 3, 4, 6, 8, 12, 16, _MOST_TRIALS)})
    return next((size for size in sizes if _power(first, second, size, level) >= _POWER), None)


def _power(first: Searched, second: Searched, size: int, level: float) -> float:
    generator = np.random.Generator(np.random.Philox(key=[3, size]))
    # Indices of trials in rising order: from the best to the worst.
    i, j = (
        np.sort(generator.integers(0, len(side.tests), (_SIMULATIONS, size)), axis=1)
        for side in (first, second)
    )
    values = first.means[i], second.means[j]
    p = _exchange((first.validation[i], second.validation[j]), values)
    as_seen = np.sign(values[0][:, 0] - values[1][:, 0]) == np.sign(first.means[0] - second.means[0])
    return float(np.mean(as_seen & (p <= level)))
