"""The three convolutions of a layer in forms that XLA compiles well on a CPU, also inside a loop.

Everything here comes down to the one form that is fast there, channels last and windows as (h, w, in, out):

    forward          y  = x * k
    input gradient   dx = dy * flip(k), the channels of k swapped.  With a stride s, the entries of dx whose
                     positions leave the same remainders by s meet the same part of k: s² small convolutions
                     of stride 1, and none over the zeros of a dilated dy
    kernel gradient  dk = xᵀ * dyᵀ or flip(dyᵀ * xᵀ): one of them as images (c, h, w, n), the other as a
                     kernel (h, w, n, o), which is the one with more channels.  With a stride, part by part
                     as above.  In pieces of the batch that are summed: one large piece is 3 times slower.
                     For 1×1 a matrix product

A convolution of stride 1 takes the way that was fastest for its channels (`correlate`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from nnrun.kernels import Geometry, Pads
from nnrun.layer._winograd import three_rows

__all__ = ["LABELS", "correlate", "forward", "input_gradient", "kernel_gradient"]

LABELS = ("NHWC", "HWIO", "NHWC")
_NONE = ((0, 0), (0, 0))
_PIECES = 8


def forward(geometry: Geometry, x: Array, kernel: Array) -> Array:
    """x (n, h, w, c), kernel (kh, kw, c, o) -> y (n, h', w', o)."""
    stride = geometry.stride
    if stride == 1:
        return correlate(x, kernel, geometry.pads)
    if geometry.kernel == (1, 1):
        return _conv(x[:, ::stride, ::stride], kernel)
    return _conv(x, kernel, geometry.pads, strides=(stride, stride))


def correlate(x: Array, kernel: Array, pads: Pads) -> Array:
    """The convolution of stride 1, by the way that was measured to be the fastest."""
    kh, _, c, o = kernel.shape
    height = x.shape[1] + sum(pads[0]) - kh + 1
    # Half precision would lose too many digits in the sums of `three_rows`.
    precise = x.dtype in (jnp.float32, jnp.float64)
    if kh == 3 and min(c, o) >= 16 and height >= 4 and precise and min(pads[0]) >= 0:
        block = 2 if o <= 16 else 1
        return three_rows(
            lambda rows, k: _in_blocks(rows, k, ((0, 0), pads[1]), block), x, kernel, (pads[0][0], pads[0][1])
        )
    if kernel.shape[:2] == (1, 1) or c == 1:
        return _conv(x, kernel, pads)
    return _in_blocks(x, kernel, pads, min(4, max(1, (64 if c < 16 else 32) // o)))


def _in_blocks(x: Array, kernel: Array, pads: Pads, block: int) -> Array:
    """Blocks of neighbouring outputs in a row as further channels: few channels leave the processor idle.

    The window is as much wider as the block, and holds the kernel once for each output at its place.
    """
    if block == 1:
        return _conv(x, kernel, pads)
    kh, kw, c, o = kernel.shape
    width = x.shape[2] + sum(pads[1]) - kw + 1
    blocks = -(-width // block)
    wide = [jnp.pad(kernel, ((0, 0), (j, block - 1 - j), (0, 0), (0, 0))) for j in range(block)]
    kernel = jnp.stack(wide, axis=3).reshape(kh, kw + block - 1, c, block * o)
    pads = (pads[0], (pads[1][0], pads[1][1] + blocks * block - width))
    y = _conv(x, kernel, pads, strides=(1, block))
    return y.reshape(*y.shape[:2], blocks * block, o)[:, :, :width]


def input_gradient(geometry: Geometry, dy: Array, kernel: Array) -> Array:
    """dy (n, h', w', o), kernel (kh, kw, c, o) -> dx (n, h, w, c)."""
    swapped = kernel.transpose(0, 1, 3, 2)
    vertical, horizontal = _phases(geometry, dy.shape[1:3])
    rows = [_interleave([_part(dy, swapped, v, h) for h in horizontal], axis=2) for v in vertical]
    return _interleave(rows, axis=1)[:, : geometry.size[0], : geometry.size[1]]


class _Phase(NamedTuple):
    """Which part of the kernel the positions stride · q + remainder of one axis of the input meet."""

    taps: list[int]  # in the order in which they meet ascending positions of dy
    pads: tuple[int, int]
    outputs: int  # how many q


def _phases(geometry: Geometry, outputs: Sequence[int]) -> list[list[_Phase]]:
    """Those of the height and of the width, by remainder."""
    return [
        [_phase(geometry, axis, remainder, outputs[axis]) for remainder in range(geometry.stride)]
        for axis in (0, 1)
    ]


def _phase(geometry: Geometry, axis: int, remainder: int, outputs: int) -> _Phase:
    """dx[s · q + r] = Σ_i k[i] · dy[q + (r + before − i) / s] over the i that leave no remainder."""
    stride, before = geometry.stride, geometry.pads[axis][0]
    count = -(-geometry.size[axis] // stride)
    taps = [i for i in reversed(range(geometry.kernel[axis])) if (remainder + before - i) % stride == 0]
    if not taps:
        return _Phase([], (0, 0), count)
    first, last = ((remainder + before - i) // stride for i in (taps[0], taps[-1]))
    return _Phase(taps, (-first, count - 1 + last - (outputs - 1)), count)


def _part(dy: Array, swapped: Array, vertical: _Phase, horizontal: _Phase) -> Array:
    if not vertical.taps or not horizontal.taps:
        return jnp.zeros((dy.shape[0], vertical.outputs, horizontal.outputs, swapped.shape[3]), dy.dtype)
    kernel = swapped[np.array(vertical.taps)][:, np.array(horizontal.taps)]
    return correlate(dy, kernel, (vertical.pads, horizontal.pads))


def _interleave(parts: list[Array], axis: int) -> Array:
    """Element q of part r goes to position len(parts) · q + r of the axis."""
    if len(parts) == 1:
        return parts[0]
    shape = list(parts[0].shape)
    shape[axis] *= len(parts)
    return jnp.stack(parts, axis=axis + 1).reshape(shape)


def kernel_gradient(geometry: Geometry, x: Array, dy: Array) -> Array:
    """x (n, h, w, c), dy (n, h', w', o) -> dk (kh, kw, c, o)."""
    stride, n, c, o = geometry.stride, x.shape[0], x.shape[3], dy.shape[3]
    # Else XLA computes what came before x and dy anew inside each transposition.
    x, dy = lax.optimization_barrier((x, dy))
    if geometry.kernel == (1, 1):
        return jnp.einsum("nhwc,nhwo->co", x[:, ::stride, ::stride], dy)[None, None]
    pieces = _divisor(n, 4 if max(c, o) <= 16 else _PIECES)
    batches = zip(jnp.split(x, pieces), jnp.split(dy, pieces), strict=True)
    # The kernel of the convolution is the one with more channels.
    way = _from_images_x if stride == 1 and c < o else _from_images_dy
    return _sum(way(geometry, *batch) for batch in batches)


def _from_images_x(geometry: Geometry, x: Array, dy: Array) -> Array:
    """dk = xᵀ * dyᵀ for stride 1."""
    dk = _conv(x.transpose(3, 1, 2, 0), dy.transpose(1, 2, 0, 3), geometry.pads)  # (c, kh, kw, o)
    return dk.transpose(1, 2, 0, 3)


def _from_images_dy(geometry: Geometry, x: Array, dy: Array) -> Array:
    """dk[i] = Σ_q x[s · q + r] · dy[q + (r + before − i) / s]: each phase of x has its part of the kernel."""
    stride = geometry.stride
    vertical, horizontal = _phases(geometry, dy.shape[1:3])
    short = [
        stride * phases[0].outputs - size
        for phases, size in zip((vertical, horizontal), x.shape[1:3], strict=True)
    ]
    x = jnp.pad(x, ((0, 0), (0, short[0]), (0, short[1]), (0, 0))).transpose(1, 2, 0, 3)
    images = dy.transpose(3, 1, 2, 0)

    def part(r: int, s: int) -> Array:
        return _conv(images, x[r::stride, s::stride], (vertical[r].pads, horizontal[s].pads))  # (o, i, j, c)

    rows = [
        _in_order([part(r, s) for s in range(stride) if horizontal[s].taps], horizontal, axis=2)
        for r in range(stride)
        if vertical[r].taps
    ]
    return _in_order(rows, vertical, axis=1).transpose(1, 2, 3, 0)


def _in_order(parts: list[Array], phases: list[_Phase], axis: int) -> Array:
    """The parts of a kernel, put where their taps are."""
    places = np.concatenate([phase.taps for phase in phases if phase.taps])
    return jnp.take(jnp.concatenate(parts, axis), np.argsort(places), axis)


def _conv(
    x: Array,
    kernel: Array,
    pads: Pads = _NONE,
    strides: tuple[int, int] = (1, 1),
) -> Array:
    return lax.conv_general_dilated(x, kernel, strides, pads, dimension_numbers=LABELS)


def _divisor(n: int, most: int) -> int:
    """The largest number of equal pieces of n, up to `most`."""
    return next(p for p in range(min(most, n), 0, -1) if n % p == 0)


def _sum(arrays: Iterable[Array]) -> Array:
    first, *rest = arrays
    return sum(rest, first)
