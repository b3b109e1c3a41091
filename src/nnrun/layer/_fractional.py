"""Pooling over regions of one or two (or, overlapping, two or three) rows and columns, drawn at random.

Regions are the product of intervals of rows and of columns, so the pooling is done along one axis and then
along the other.  Both ways are gathers: each output takes the largest of at most three rows, and in the
gradient each row asks the at most two intervals that it lies in whether it was the largest there.
"""

from __future__ import annotations

from functools import partial
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

__all__ = ["Intervals", "Sequence", "intervals", "pool"]

Sequence = Literal["random", "pseudorandom"]
_LONGEST = 3


class Intervals(NamedTuple):
    """Intervals of rows, in order; each row lies in one of them, or at the border of two that overlap."""

    first: Array  # (outputs,) int32: the first row of each, from 0
    last: Array  # (outputs,) int32: the last row of each; at most two behind the first


def intervals(key: Array, size: int, outputs: int, sequence: Sequence, overlapping: bool) -> Intervals:
    """The intervals [aᵢ₋₁, aᵢ − 1], or overlapping [aᵢ₋₁, aᵢ], of a sequence 1 = a₀ < a₁ < ... with increments 1 and 2.

    random         the increments are a random order of as many ones and twos as it takes
    pseudorandom   aᵢ = ⌈α i + v⌉, v uniform on (0, 1], α the mean increment: the increments are spread evenly
    The sequence ends at `size` where intervals overlap and at `size` + 1 where they do not, so that all rows are
    covered.  size / outputs must lie in [1, 2].  Source: Graham 2014, "Fractional max-pooling", section 2, where
    v = α u: starting at 1 means u in (0, 1/α].
    """
    end = size if overlapping else size + 1
    twos = end - 1 - outputs
    if not 0 <= twos <= outputs:
        raise ValueError(
            f"fractional pooling from {size} to {outputs} rows: the ratio must lie between 1 and 2; write another "
            "ratio, or pool less often"
        )
    if sequence == "random":
        increments = np.array([2] * twos + [1] * (outputs - twos), np.int32)
        a = jnp.concatenate([jnp.ones(1, jnp.int32), 1 + jnp.cumsum(jax.random.permutation(key, increments))])
    else:
        v = 1 - jax.random.uniform(key, (), jnp.float32)  # (0, 1]
        a = jnp.ceil(jnp.asarray((end - 1) / outputs * np.arange(outputs + 1), jnp.float32) + v).astype(
            jnp.int32
        )
        a = a.at[0].set(1).at[-1].set(end)  # whatever rounding says
    return Intervals(a[:-1] - 1, a[1:] - 1 if overlapping else a[1:] - 2)


def pool(x: Array, rows: Intervals, columns: Intervals) -> Array:
    """The largest value of each region: x (n, h, w, c) -> (n, outputs of rows, outputs of columns, c)."""
    return _along(2, _along(1, x, rows), columns)


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def _along(axis: int, x: Array, where: Intervals) -> Array:
    return _forward(axis, x, where)[0]


def _forward(axis: int, x: Array, where: Intervals) -> tuple[Array, tuple[Array, Intervals, Array]]:
    """The largest of each interval, and which row that is; the first of equals, NaN before numbers."""
    best = jnp.take(x, where.first, axis)
    row = jnp.broadcast_to(_spread(where.first, axis), best.shape)
    for offset in range(1, _LONGEST):
        at = jnp.minimum(where.first + offset, where.last)
        candidate = jnp.take(x, at, axis)
        larger = (candidate > best) | (jnp.isnan(candidate) & ~jnp.isnan(best))
        best, row = jnp.where(larger, candidate, best), jnp.where(larger, _spread(at, axis), row)
    return best, (x, where, row)


def _backward(axis: int, saved: tuple[Array, Intervals, Array], dy: Array) -> tuple[Array, Intervals]:
    x, where, row = saved
    numbers = jnp.arange(x.shape[axis], dtype=jnp.int32)
    # Of the intervals that a row lies in: the last that begins at or before it, and the one before that.
    # Compared with all: a binary search is a loop, whose every turn is some kernels on a GPU.
    newest = jnp.searchsorted(where.first, numbers, side="right", method="compare_all").astype(jnp.int32) - 1
    total = jnp.zeros(x.shape, dy.dtype)
    for interval in (newest, newest - 1):
        index = jnp.maximum(interval, 0)
        wins = jnp.take(row, index, axis) == _spread(numbers, axis)
        total += jnp.where(wins & _spread(interval >= 0, axis), jnp.take(dy, index, axis), 0)
    nothing = np.zeros(where.first.shape, jax.dtypes.float0)
    return total, Intervals(nothing, nothing)  # type: ignore[arg-type]


_along.defvjp(_forward, _backward)


def _spread(a: Array, axis: int) -> Array:
    """a (k,) along an axis of four."""
    return a.reshape(*(1,) * axis, -1, *(1,) * (3 - axis))
