"""Several blocks of searches: the test against all deals of all blocks, its size, an interval that agrees with it."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from nnrun.statistics.blocks import (
    exchange_test_in_blocks,
    over_searches_in_blocks,
    search_interval_in_blocks,
)
from nnrun.statistics.searches import Searched, exchange_test, search_interval


def searched(quality: np.ndarray) -> Searched:
    order = np.argsort(-quality, kind="stable")
    return Searched(quality[order], [np.full(1, value) for value in quality[order]])


def drawn(
    random: np.random.Generator, blocks: int, trials: int, ahead: float = 0.0
) -> list[tuple[Searched, Searched]]:
    return [
        (searched(random.normal(i + ahead, 1, trials)), searched(random.normal(i, 1, trials)))
        for i in range(blocks)
    ]


def test_it_is_the_share_of_all_deals_of_all_blocks() -> None:
    """Every way to deal the trials of one block with every way of the other; 10,000 deals are within 2 points."""
    random = np.random.default_rng(1)
    for _ in range(5):
        blocks = drawn(random, 2, 4)
        differences = []
        for first, second in blocks:
            pooled = np.concatenate([first.means, second.means])
            ways = itertools.combinations(range(8), 4)
            differences.append([pooled[list(way)].max() - np.delete(pooled, way).max() for way in ways])
        means = np.add.outer(*map(np.array, differences)).ravel() / 2
        observed = np.mean([first.means[0] - second.means[0] for first, second in blocks])
        exact = np.mean(np.abs(means) >= abs(observed) - 1e-12)
        assert exchange_test_in_blocks(blocks) == pytest.approx(exact, abs=0.02)


def test_one_block_has_the_closed_form() -> None:
    [block] = drawn(np.random.default_rng(2), 1, 9)
    assert exchange_test_in_blocks([block]) == exchange_test(*block)
    assert search_interval_in_blocks([block]) == search_interval(*block)


def test_equal_methods_are_called_different_in_at_most_one_of_twenty() -> None:
    """And the mean over three blocks finds a difference that one block of as many trials cannot."""
    random = np.random.default_rng(3)
    same = [exchange_test_in_blocks(drawn(random, 3, 8)) <= 0.05 for _ in range(200)]
    assert np.mean(same) <= 0.05 + 2 * (0.05 * 0.95 / 200) ** 0.5
    ahead = [drawn(random, 3, 8, 1.5) for _ in range(60)]
    in_blocks = np.mean([exchange_test_in_blocks(blocks) <= 0.05 for blocks in ahead])
    alone = np.mean([exchange_test(*blocks[0]) <= 0.05 for blocks in ahead])
    assert in_blocks > alone + 0.2


def test_the_interval_holds_zero_where_the_test_finds_nothing_and_the_true_difference() -> None:
    random = np.random.default_rng(4)
    covered = []
    for _ in range(60):
        searches = over_searches_in_blocks(drawn(random, 2, 10, 0.7))
        covered.append(searches.low <= 0.7 <= searches.high)
        assert searches.p <= 0.05 or searches.low <= 0 <= searches.high
        assert searches.trials == 10 and searches.trials_needed is None
    assert np.mean(covered) > 0.9


def test_signs_turn_with_the_sides() -> None:
    blocks = drawn(np.random.default_rng(5), 2, 8, 0.5)
    swapped = [(second, first) for first, second in blocks]
    low, high = search_interval_in_blocks(blocks)
    assert search_interval_in_blocks(swapped) == pytest.approx((-high, -low), abs=0.2)
    assert exchange_test_in_blocks(swapped) == pytest.approx(exchange_test_in_blocks(blocks), abs=0.02)
