"""Orders of examples: the permutations that a stable argsort of raw Philox words gives, however they are made."""

from __future__ import annotations

import numpy as np
import pytest

from nnrun.training import order
from nnrun.training.order import PADDING, positions_of_all


def permutation(seed: int, epoch: int, examples: int) -> np.ndarray:
    """As the format defines it."""
    words = np.random.Philox(key=np.array([seed, epoch], np.uint64)).random_raw(examples)
    return np.argsort(words, kind="stable")


@pytest.mark.parametrize("examples", [1, 2, 3, 64, 65, 1293, 70_000])
def test_an_epoch_is_the_argsort_of_its_words(examples: int) -> None:
    batch_size, seeds = 64, [0, 1, 2**31]
    steps = -(-examples // batch_size)
    orders = positions_of_all(seeds, examples, batch_size, steps, steps)
    for seed, row in zip(seeds, orders.reshape(3, -1), strict=True):
        np.testing.assert_array_equal(row[:examples], permutation(seed, 1, examples))
        assert set(row[examples:]) <= {PADDING}


@pytest.mark.parametrize("examples", [1, 2, 5, 300])
def test_words_that_differ_in_their_low_bits_alone_are_ranked_right(examples: int) -> None:
    words = np.random.default_rng(examples).integers(0, 8, examples, dtype=np.uint64)  # equal ones among them
    for shift in (0, 2, 40):
        shifted = words << np.uint64(shift)
        np.testing.assert_array_equal(order._ranked(shifted), np.argsort(shifted, kind="stable"))
