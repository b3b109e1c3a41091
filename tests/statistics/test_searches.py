"""The luck of a search: the exchange test against an enumeration, its size, the interval, numbers of trials."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from nnrun.statistics.searches import (
    Searched,
    exchange_test,
    search_interval,
    trials_for,
)


def searched(validation: np.ndarray, test: np.ndarray, seeds: int = 1) -> Searched:
    """Trials in any order, each with the same value for every seed."""
    order = np.argsort(-validation, kind="stable")
    return Searched(validation[order], [np.full(seeds, value) for value in test[order]])


def enumerated(first: Searched, second: Searched) -> float:
    """The share of all ways to deal the trials in which the bests differ at least as much."""
    n, m = len(first.tests), len(second.tests)
    validation = np.concatenate([first.validation, second.validation])
    test = np.concatenate([first.means, second.means])

    def difference(members: tuple[int, ...]) -> float:
        others = [i for i in range(n + m) if i not in members]
        a, b = (max(side, key=lambda i: validation[i]) for side in (members, others))
        return abs(test[a] - test[b])

    observed = difference(tuple(range(n)))
    ways = list(itertools.combinations(range(n + m), n))
    return sum(difference(way) >= observed - 1e-12 for way in ways) / len(ways)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 5), st.integers(1, 5), st.integers(0, 10_000))
def test_it_is_the_share_of_all_ways_to_deal_the_trials(n: int, m: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    sides = [searched(random.normal(size=k), random.normal(size=k)) for k in (n, m)]
    assert exchange_test(*sides) == pytest.approx(enumerated(*sides), abs=1e-12)


def test_the_five_best_of_sixteen() -> None:
    """If the five best trials are of one side of eight: 2 · (8 · 7 · 6 · 5 · 4) / (16 · 15 · 14 · 13 · 12)."""
    values = np.arange(16.0)[::-1]
    first, second = values[[0, 1, 2, 3, 4, 13, 14, 15]], values[5:13]
    by_hand = 2 * (8 * 7 * 6 * 5 * 4) / (16 * 15 * 14 * 13 * 12)
    assert exchange_test(searched(first, first), searched(second, second)) == pytest.approx(by_hand)


def test_a_diverged_trial_is_the_last() -> None:
    a = searched(np.array([3.0, 2.0, -math.inf]), np.array([3.0, 2.0, 0.0]))
    b = searched(np.array([1.0, -math.inf, -math.inf]), np.array([1.0, 0.0, 0.0]))
    # 3 against 1 needs the two best on one side: 2 · (3 · 2) / (6 · 5)
    assert exchange_test(a, b) == pytest.approx(0.4)
    low, high = search_interval(a, b)
    assert low < 2 < high


SURFACES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "bowl": lambda u: 98 - 1.2 * (3 * (u[:, 0] - 0.55)) ** 2 - 2 * (u[:, 1] - 0.2) ** 2,
    "cliff": lambda u: np.where(u[:, 0] > 0.8, 90 - 40 * u[:, 0], 98 - 6 * (0.8 - u[:, 0]).clip(0) - 0.6 * u[:, 1]),
}  # fmt: skip


def search(random: np.random.Generator, surface: str, trials: int, shift: float = 0.0) -> Searched:
    """A random search over two settings, three seeds a trial, with ten fresh seeds of the best."""
    quality = SURFACES[surface](random.random((trials, 2))) + shift
    seeds = random.normal(0, 0.05, (trials, 3))
    validation = (quality[:, None] + seeds + random.normal(0, 0.04, (trials, 3))).mean(axis=1)
    test = quality[:, None] + seeds + random.normal(0, 0.04, (trials, 3))
    order = np.argsort(-validation)
    fresh = quality[order[0]] + random.normal(0, 0.064, 10)
    return Searched(validation[order], [fresh, *test[order[1:]]])


@pytest.mark.quick("20-cliff")
@pytest.mark.parametrize("surface", sorted(SURFACES))
@pytest.mark.parametrize("trials", [8, 20])
def test_two_searches_of_one_method_differ_in_at_most_five_of_a_hundred_cases(
    surface: str, trials: int
) -> None:
    random = np.random.default_rng(trials)
    sample = 1000
    false = sum(
        exchange_test(search(random, surface, trials), search(random, surface, trials)) <= 0.05
        for _ in range(sample)
    )
    assert false / sample <= 0.05 + 2 * math.sqrt(0.05 * 0.95 / sample)


def test_the_interval_holds_the_difference_of_two_methods() -> None:
    """One method is better by 0.5 everywhere, so by 0.5 at the best that a search finds."""
    random = np.random.default_rng(1)
    held = 0
    for _ in range(100):
        low, high = search_interval(search(random, "bowl", 12, 0.5), search(random, "bowl", 12))
        held += low <= 0.5 <= high
    assert held >= 89  # of 95 expected, three standard deviations


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.floats(-3, 3))
def test_the_interval_moves_with_a_shift_and_has_no_zero_only_where_the_test_rejects(
    seed: int, shift: float
) -> None:
    random = np.random.default_rng(seed)
    a, b = search(random, "bowl", 8), search(random, "bowl", 8)
    low, high = search_interval(a, b)
    assert low <= a.means[0] - b.means[0] <= high
    moved = Searched(a.validation + shift, [values + shift for values in a.tests])
    assert search_interval(moved, b) == pytest.approx((low + shift, high + shift), abs=1e-6)
    if not low <= 0 <= high:
        assert exchange_test(a, b) <= 0.05
    assert search_interval(b, a) == pytest.approx((-high, -low), abs=0.05 * (high - low))


def test_of_equal_ranks_either_may_be_the_better_one() -> None:
    """Accuracies of fifteen examples have many ties; the answer is the same from both sides."""
    random = np.random.default_rng(2)
    for _ in range(50):
        a, b = (searched(random.integers(0, 5, 8) / 15, random.integers(0, 5, 8) / 15) for _ in range(2))
        assert exchange_test(a, b) == pytest.approx(exchange_test(b, a))


def test_how_many_trials_would_tell() -> None:
    """More where the difference is small; none where there is none."""
    random = np.random.default_rng(3)
    far, near, same = (search(random, "bowl", 12, shift) for shift in (1.0, 0.25, 0.0))
    few, many = (trials_for(side, same, 0.05) for side in (far, near))
    assert few is not None and 12 < few <= 24
    assert many is None or many > few
    assert trials_for(same, same, 0.05) is None


@given(arrays(np.float64, 8, elements=st.floats(-5, 5)))
@settings(deadline=None)
def test_equal_searches_are_alike(values: np.ndarray) -> None:
    side = searched(values, values)
    assert exchange_test(side, side) == 1.0
