"""Would other searches have turned a mean over several of them round?  `searches` for two methods in several blocks.

A factor of a sweep, such as the optimizer, is compared at each level of the others, such as the schedule: these are
the blocks.  In each of them both methods had a search of their own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from nnrun.statistics.comparison import PairComparison
from nnrun.statistics.searches import (
    FEWEST_TRIALS,
    OverSearches,
    Searched,
    exchange_test,
    halves,
    in_order,
    next_best,
    over_searches,
    search_interval,
)

__all__ = [
    "Side",
    "exchange_test_in_blocks",
    "over_searches_in_blocks",
    "search_interval_in_blocks",
    "with_searches",
]

_ALPHA = 0.05
_DEALS = 10_000
_DEALS_SHIFTED = 2_000  # at each of many shifts
_REACH = 3.0  # how far shifts are tried, in half widths of the interval over halves
_SHIFTS = 121

SearchBlocks = Sequence[
    tuple[Searched, Searched]
]  # of each block: the search of the first method, that of the second


class Side(NamedTuple):
    """A method in a block.

    values    seed -> value of its chosen setting
    searched  the trials that this was chosen from; why they say nothing of other searches; None: not searched for
    """

    values: Mapping[int, float]
    searched: Searched | str | None


def with_searches(
    pair: PairComparison, blocks: Sequence[tuple[Side, Side]], level: float | None
) -> PairComparison:
    """A comparison with what other searches would have found, or why that is not known.

    blocks   of the first and the second, one or more
    level    at which it is asked how many trials would decide; None: it is not
    """
    sides = [side for block in blocks for side in block]
    if all(side.searched is None for side in sides):
        return pair
    pair = pair._replace(searched=True)
    reasons = [side.searched for side in sides if isinstance(side.searched, str)]
    if reasons or any(side.searched is None for side in sides):
        some = "one of the two was" if len(blocks) == 1 else "some of the settings were"
        return pair._replace(unknown=(reasons or [f"only {some} searched for"])[0])
    seeds = sorted(set.intersection(*(set(side.values) for side in sides)))
    known = [(_chosen(first, seeds), _chosen(second, seeds)) for first, second in blocks]
    trials = min(len(searched.tests) for block in known for searched in block)
    if trials < FEWEST_TRIALS:
        return pair._replace(unknown=f"{trials} different trials are fewer than {FEWEST_TRIALS}")
    if len(known) == 1:
        return pair._replace(searches=over_searches(*known[0], level))
    return pair._replace(searches=over_searches_in_blocks(known))


def _chosen(side: Side, seeds: Sequence[int]) -> Searched:
    """The search of a side, its chosen setting with the values of these seeds."""
    assert isinstance(side.searched, Searched)
    return side.searched.with_chosen([side.values[seed] for seed in seeds])


def over_searches_in_blocks(blocks: SearchBlocks) -> OverSearches:
    """What other searches would have found of the mean difference; how many trials would decide is not known."""
    trials = min(len(side.tests) for block in blocks for side in block)
    p, (low, high) = exchange_test_in_blocks(blocks), search_interval_in_blocks(blocks)
    if p > _ALPHA:  # both are approximate; they must not disagree
        low, high = min(low, 0.0), max(high, 0.0)
    return OverSearches(low, high, p, trials, None)


def exchange_test_in_blocks(blocks: SearchBlocks) -> float:
    """The p-value of "both methods draw alike in every block", of the mean difference of their bests.

    Labels are exchanged within each block, as `exchange_test` does, independently of the others; the distribution of
    the mean is that of 10,000 deals.  A single block has the closed form.
    """
    if len(blocks) == 1:
        return exchange_test(*blocks[0])
    swapped = [(second, first) for first, second in blocks]
    return max(float(_shifted(side, np.zeros(1), _DEALS)[0]) for side in (blocks, swapped))


def search_interval_in_blocks(blocks: SearchBlocks) -> tuple[float, float]:
    """95% interval of the mean difference over other draws of all searches and seeds.

    As `search_interval` of one block: the hull of the shifts that the test does not reject, and of the difference
    plus and minus the 95% quantile of the centred difference of halves, which are drawn in each block for itself.
    """
    if len(blocks) == 1:
        return search_interval(*blocks[0])
    difference = float(np.mean([first.means[0] - second.means[0] for first, second in blocks]))
    centred = np.mean(
        [halves(first, 2 * i + 1) - halves(second, 2 * i + 2) for i, (first, second) in enumerate(blocks)],
        axis=0,
    )
    half = float(np.quantile(np.abs(centred), 1 - _ALPHA))
    shifts = difference + _REACH * half * np.linspace(-1, 1, _SHIFTS)
    kept = shifts[_shifted(blocks, shifts, _DEALS_SHIFTED) > _ALPHA]
    return float(min([difference - half, *kept])), float(max([difference + half, *kept]))


def _shifted(blocks: SearchBlocks, shifts: np.ndarray, deals: int) -> np.ndarray:
    """The p-values of "the first is better by this much in every block", for each shift."""
    uniform = np.random.Generator(np.random.Philox(key=[4, len(blocks)])).random((len(blocks), deals))
    observed = np.mean([first.means[0] - second.means[0] for first, second in blocks]) - shifts
    dealt = np.zeros((len(shifts), deals))
    largest = np.zeros(len(shifts))
    for (first, second), draws in zip(blocks, uniform, strict=True):
        ordered = _ordered(first, second, shifts)
        dealt += _deal(ordered, len(first.tests), len(second.tests), draws) / len(blocks)
        largest = np.maximum(largest, np.abs(ordered).max(axis=1))
    # What is equal but for rounding is as far.  The deal that was made is one of all.
    as_far = np.abs(dealt) >= (np.abs(observed) - 1e-9 * largest)[:, None]
    return (1 + as_far.sum(axis=1)) / (1 + deals)


def _ordered(first: Searched, second: Searched, shifts: np.ndarray) -> np.ndarray:
    """The values of all trials of a block from the best to the worst, for each shift of the first method."""
    count = len(shifts), 1
    ranks = first.validation - first.sign * shifts[:, None], np.tile(second.validation, count)
    return in_order(ranks, (first.means - shifts[:, None], np.tile(second.means, count)))


def _deal(ordered: np.ndarray, n: int, m: int, draws: np.ndarray) -> np.ndarray:
    """Differences of the bests of both hands, (shifts, deals).

    ordered  (shifts, n + m) values from the best to the worst
    draws    (deals,) uniform
    """
    chances = np.concatenate([next_best(n, m), next_best(m, n)])
    drawn = np.searchsorted(np.cumsum(chances)[:-1], draws, side="right")
    gaps = ordered[:, :1] - ordered[:, 1:]
    return np.hstack([gaps[:, :n], -gaps[:, :m]])[:, drawn]
