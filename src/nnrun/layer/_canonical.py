"""The three convolutions of a layer in the one form that XLA compiles well on a CPU, also inside a loop.

Channels last, and windows as (h, w, in, out):

    forward          y  = x * k
    input gradient   dx = dy * flip(k), the channels of k swapped, with zeros between the entries of dy for a stride
    kernel gradient  dk = xᵀ * dyᵀ: x as images (c, h, w, n), dy as a kernel (h', w', n, o), which is spread by the
                     stride.  In pieces of the batch that are summed: one large piece is 3 times slower
"""

from __future__ import annotations

from functools import reduce
from operator import add

import jax.numpy as jnp
from jax import Array, lax

from nnrun.kernels import Geometry, Pads

__all__ = ["LABELS", "forward", "input_gradient", "kernel_gradient"]

LABELS = ("NHWC", "HWIO", "NHWC")
_PIECES = 8


def forward(geometry: Geometry, x: Array, kernel: Array) -> Array:
    """x (n, h, w, c), kernel (kh, kw, c, o) -> y (n, h', w', o)."""
    return _conv(x, kernel, geometry.pads, stride=geometry.stride)


def input_gradient(geometry: Geometry, dy: Array, kernel: Array) -> Array:
    """dy (n, h', w', o), kernel (kh, kw, c, o) -> dx (n, h, w, c)."""
    axes = zip(geometry.size, dy.shape[1:3], geometry.kernel, geometry.pads, strict=True)
    pads = tuple(_around(geometry.stride, *axis) for axis in axes)
    return _conv(dy, kernel[::-1, ::-1].swapaxes(2, 3), pads, zeros=geometry.stride)


def _around(stride: int, size: int, outputs: int, window: int, pads: tuple[int, int]) -> tuple[int, int]:
    """How many zeros stand before and after dy along an axis, so that as many entries come out as x has."""
    before = window - 1 - pads[0]
    return before, size + window - 2 - (outputs - 1) * stride - before


def kernel_gradient(geometry: Geometry, x: Array, dy: Array) -> Array:
    """x (n, h, w, c), dy (n, h', w', o) -> dk (kh, kw, c, o)."""
    stride, (kh, kw) = geometry.stride, geometry.kernel
    # Else XLA computes what came before x and dy anew inside each transposition.
    x, dy = lax.optimization_barrier((x, dy))
    if (kh, kw) == (1, 1):
        return jnp.einsum("nhwc,nhwo->co", x[:, ::stride, ::stride], dy)[None, None]
    pieces = _divisor(len(x), _PIECES)
    batches = zip(jnp.split(x, pieces), jnp.split(dy, pieces), strict=True)
    sums = [
        _conv(images.transpose(3, 1, 2, 0), slopes.transpose(1, 2, 0, 3), geometry.pads, spread=stride)
        for images, slopes in batches
    ]
    return reduce(add, sums)[:, :kh, :kw].transpose(1, 2, 0, 3)


def _conv(x: Array, kernel: Array, pads: Pads, stride: int = 1, zeros: int = 1, spread: int = 1) -> Array:
    """A convolution in the one form; with zeros between the entries of x, or of the kernel (`spread`)."""
    steps = ((stride, stride), pads, (zeros, zeros), (spread, spread))
    return lax.conv_general_dilated(x, kernel, *steps, dimension_numbers=LABELS)


def _divisor(n: int, most: int) -> int:
    """The largest number of equal pieces of n, up to `most`."""
    return next(p for p in range(min(most, n), 0, -1) if n % p == 0)
