from __future__ import annotations

from functools import reduce

import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from nnrun.layer._compose import stateless
from nnrun.options import Count
from nnrun.types import Layer

__all__ = ["max_pool"]


def max_pool(size: Count = 2, stride: Count | None = None) -> Layer:
    """Max pooling: the largest value of each size × size window.

    size    height and width of a window
    stride  distance between neighbouring windows; null: `size`, so that they do not overlap
    Rows and columns that fill no window are left out.  Of equally large values one has the whole gradient.
    Shapes: x (n, h, w, c) -> y (n, ⌊(h − size) / stride⌋ + 1, ..., c).
    """
    step = size if stride is None else stride

    def shape(x_shape):
        if len(x_shape) != 3:
            raise ValueError(f"max_pool needs images (h, w, c), got shape {x_shape}; use it before flatten")
        if size > min(x_shape[:2]):
            raise ValueError(
                f"max_pool of size {size} does not fit into images of shape {x_shape}; pool less often before it"
            )
        return ((x_shape[0] - size) // step + 1, (x_shape[1] - size) // step + 1, x_shape[2])

    return stateless(lambda x: _disjoint(x, size) if step == size else _overlapping(x, size, step), shape)


def _disjoint(x: Array, size: int) -> Array:
    """By comparing slices: on a CPU this halves the time of a small conv net's step."""
    n, h, w, c = x.shape
    h, w = h // size, w // size
    windows = x[:, : h * size, : w * size].reshape(n, h, size, w, size, c)
    rows = reduce(_larger, [windows[:, :, i] for i in range(size)])  # (n, h, w, size, c)
    return reduce(_larger, [rows[:, :, :, j] for j in range(size)])


def _larger(a: Array, b: Array) -> Array:
    """The larger, a where they are equal, NaN where one is.

    Not jnp.max: its gradient looks for the entries that equal the maximum and divides by how many there are,
    but XLA may compute the entries anew, rounded otherwise, and find none: 0 / 0.
    """
    return jnp.where((b > a) | jnp.isnan(b), b, a)


def _overlapping(x: Array, size: int, step: int) -> Array:
    lowest = np.array(-np.inf, x.dtype)  # traced it would not be seen to be max's identity: no gradient
    return lax.reduce_window(x, lowest, lax.max, (1, size, size, 1), (1, step, step, 1), "VALID")
