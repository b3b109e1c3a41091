from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import jax
import jax.numpy as jnp
from annotated_types import Gt, Lt
from jax import Array, lax

from nnrun.layer._fractional import Sequence, intervals, pool
from nnrun.layer._sums import wide
from nnrun.options import Count, FixedMark
from nnrun.types import Layer

__all__ = ["fractional_max_pool", "pooling_to"]

Ratio = Annotated[float, Gt(1), Lt(2), FixedMark()]


def fractional_max_pool(
    ratio: Ratio = 1.4142135623730951,
    sequence: Sequence = "pseudorandom",
    overlapping: bool = True,
    test_poolings: Count = 1,
) -> Layer:
    """Fractional max pooling: shrinks images by a ratio between 1 and 2, over random regions.

    The regions are drawn anew at each step.

    Rows are cut at 1 = a₀ < a₁ < ..., columns at 1 = b₀ < b₁ < ..., with increments of 1 and 2 in a random order;
    y_ij is the largest x in [aᵢ₋₁, aᵢ] × [bⱼ₋₁, bⱼ], or disjoint in [aᵢ₋₁, aᵢ − 1] × [bⱼ₋₁, bⱼ − 1].

    ratio          size of x by size of y, in (1, 2)
    sequence       pseudorandom: aᵢ = ⌈α i + v⌉, v drawn, α the ratio: regions of even sizes; random: a random
                   order of increments, which distorts images more
    overlapping    whether neighbouring regions share a row or column
    test_poolings  without noise: the average of the outputs of this many fixed draws of regions (`fmp_net` averages
                   the whole net's predictions instead)
    One draw serves all examples and channels of a step.  Sizes: ⌊side / ratio⌋, and at least half.
    Shapes: x (n, h, w, c) -> y (n, h', w', c).
    Source: Graham 2014, "Fractional max-pooling".  torch.nn.FractionalMaxPool2d has regions of a fixed size.
    """

    def shrunk(side):
        fewest = side // 2 if overlapping else -(-side // 2)
        return max(1, fewest, int(side / ratio))

    return pooling_to(
        shrunk, sequence, overlapping, lambda i: jax.random.fold_in(jax.random.key(0), i), test_poolings
    )


def pooling_to(
    shrunk: Callable[[int], int],
    sequence: Sequence,
    overlapping: bool,
    test_key: Callable[[Array], Array],
    test_poolings: int = 1,
) -> Layer:
    """Fractional max pooling to the size that `shrunk` gives; without noise, regions come from test_key(0), ..."""

    def init(key, x_shape):
        del key
        if len(x_shape) != 3:
            raise ValueError(
                f"fractional_max_pool needs images (h, w, c), got {x_shape}; use it before flatten"
            )
        if min(x_shape[:2]) < 2:
            raise ValueError(
                f"fractional_max_pool has nothing to shrink in images of shape {x_shape}; use fewer"
            )
        return {}, {}, (shrunk(x_shape[0]), shrunk(x_shape[1]), x_shape[2])

    def pooled(x, key):
        key = jax.random.fold_in(key, x.shape[1])  # the poolings of a net draw apart without noise too
        rows, columns = (
            intervals(jax.random.fold_in(key, i), side, shrunk(side), sequence, overlapping)
            for i, side in enumerate(x.shape[1:3])
        )
        return pool(x, rows, columns)

    def apply(params, stats, x, key, weight):
        del params, weight
        if key is not None:
            return pooled(x, key), stats
        first = pooled(x, test_key(jnp.uint32(0)))
        if test_poolings == 1:
            return first, stats
        total = lax.fori_loop(1, test_poolings, lambda i, y: y + wide(pooled(x, test_key(i))), wide(first))
        return (total / test_poolings).astype(x.dtype), stats

    return Layer(init, apply)
