"""Three rows of a window at half the multiplications: Winograd's F(4, 3) over the height.

Four outputs of a filter with three taps need six products instead of twelve:

    y = Aᵀ [(G k) ⊙ (Bᵀ x)]        x six neighbouring rows, k three rows of the kernel, y four rows

Here each entry of x, k and y is a whole row of an image or of a kernel, and each of the six products is a
convolution along the width.  So all the arithmetic around them is on whole rows, as long as memory has them,
and nothing is gathered into tiles.  Both axes at once (F(4×4, 3×3)) save twice as much again, but take five
times as long to compile, and their dots are slow inside a loop inside a loop.

The points are 0, ±1, ±2, ∞.  In float32 the result is within 3e-6 of the largest entry.
Source: Winograd 1980; Lavin & Gray 2016, "Fast algorithms for convolutional neural networks".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from operator import add

import jax.numpy as jnp
from jax import Array

__all__ = ["three_rows"]

_OUT, _IN, _TAPS = 4, 6, 3

_INPUT = (  # Bᵀ (6, 6)
    (4, 0, -5, 0, 1, 0),
    (0, -4, -4, 1, 1, 0),
    (0, 4, -4, -1, 1, 0),
    (0, -2, -1, 2, 1, 0),
    (0, 2, -1, -2, 1, 0),
    (0, 4, 0, -5, 0, 1),
)
_KERNEL = (  # G (6, 3)
    (1 / 4, 0, 0),
    (-1 / 6, -1 / 6, -1 / 6),
    (-1 / 6, 1 / 6, -1 / 6),
    (1 / 24, 1 / 12, 1 / 6),
    (1 / 24, -1 / 12, 1 / 6),
    (0, 0, 1),
)
_OUTPUT = (  # Aᵀ (4, 6)
    (1, 1, 1, 1, 1, 0),
    (0, 1, -1, 2, -2, 0),
    (0, 1, 1, 4, 4, 0),
    (0, 1, -1, 8, -8, 1),
)


def three_rows(
    along_width: Callable[[Array, Array], Array], x: Array, kernel: Array, pads: tuple[int, int]
) -> Array:
    """The convolution of x (n, h, w, c) with kernel (3, kw, c, o), stride 1, zeros added to the height.

    along_width  (x (n, h, w, c), kernel (1, kw, c, o)) -> (n, h, w', o)
    pads         rows of zeros before and after
    """
    height = x.shape[1] + sum(pads) - _TAPS + 1
    groups = -(-height // _OUT)
    missing = groups * _OUT - height
    x = jnp.pad(x, ((0, 0), (pads[0], pads[1] + missing), (0, 0), (0, 0)))
    rows = [x[:, i : i + _OUT * (groups - 1) + 1 : _OUT] for i in range(_IN)]  # each (n, groups, w, c)
    taps = [kernel[i : i + 1] for i in range(_TAPS)]
    products = [
        along_width(_combine(from_rows, rows), _combine(from_taps, taps))
        for from_rows, from_taps in zip(_INPUT, _KERNEL, strict=True)
    ]
    y = jnp.stack([_combine(row, products) for row in _OUTPUT], axis=2)  # (n, groups, 4, w', o)
    return y.reshape(y.shape[0], groups * _OUT, *y.shape[3:])[:, :height]


def _combine(weights: Sequence[float], arrays: Sequence[Array]) -> Array:
    """Σ weight · array, without the terms of weight 0."""
    return reduce(add, [_times(w, a) for w, a in zip(weights, arrays, strict=True) if w])


def _times(weight: float, array: Array) -> Array:
    return array if weight == 1 else -array if weight == -1 else weight * array
