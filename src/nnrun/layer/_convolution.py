"""2-D convolution whose gradients are written in the one form that XLA compiles well on a CPU.

The gradients that JAX derives are convolutions with other dimension labels.  XLA's CPU backend brings those
to its fast form b01f,01io->b01f at top level, but not inside the body of a loop, where they run 7 to 25 times
slower, and nnrun's training step is the body of a loop.  So all three convolutions are written in that form:

    forward          y  = x * k
    input gradient   dx = dilate(dy, stride) * flip(k) with the channels of k swapped
    kernel gradient  dk = xᵀ * dyᵀ: x as (c, h, w, n), dy as a kernel (h, w, n, o) dilated by the stride,
                     in pieces of the batch that are summed (one large piece is 3 times slower)

`vmap` over the kernel would make a grouped convolution, which is slow too: a population runs its members
one after the other here, through the same code.  On other backends the plain convolution is used.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.custom_batching import custom_vmap

__all__ = ["convolve"]

_LABELS = ("NHWC", "HWIO", "NHWC")
_PIECES = 8

Pads = tuple[tuple[int, int], ...]  # (before, after) of height and width


class _Geometry(NamedTuple):
    """What is static about a convolution."""

    stride: int
    pads: Pads
    size: tuple[int, ...]  # height and width of the input
    kernel: tuple[int, ...]


def convolve(x: Array, kernel: Array, stride: int, padding: str) -> Array:
    """x (n, h, w, c), kernel (kh, kw, c, o) -> (n, h', w', o); padding "same" or "valid"."""
    size, window = x.shape[1:3], kernel.shape[:2]
    pads = tuple(lax.padtype_to_pads(size, window, (stride, stride), padding.upper()))
    if jax.default_backend() != "cpu":
        return lax.conv_general_dilated(x, kernel, (stride, stride), pads, dimension_numbers=_LABELS)
    return _canonical(_Geometry(stride, pads, size, window))(x, kernel)


@lru_cache(maxsize=256)
def _canonical(geometry: _Geometry) -> Callable[[Array, Array], Array]:
    """The convolution of one geometry, with gradients of every order.

    Each of the three functions is linear in both arguments, and its gradients are the other two.
    """
    forward, input_gradient, kernel_gradient = (
        jax.custom_vjp(_one_by_one(partial(function, geometry)))
        for function in (_forward, _input_gradient, _kernel_gradient)
    )

    def derive(function, gradients):
        function.defvjp(lambda a, b: (function(a, b), (a, b)), lambda saved, g: gradients(*saved, g))

    derive(forward, lambda x, kernel, g: (input_gradient(g, kernel), kernel_gradient(x, g)))
    derive(input_gradient, lambda dy, kernel, g: (forward(g, kernel), kernel_gradient(g, dy)))
    derive(kernel_gradient, lambda x, dy, g: (input_gradient(dy, g), forward(x, g)))
    return forward


def _one_by_one(function: Callable[[Array, Array], Array]) -> Callable[[Array, Array], Array]:
    """The same function, but under vmap a loop over the members instead of a grouped convolution."""
    batched = custom_vmap(function)

    @batched.def_vmap
    def loop(axis_size, in_batched, a, b):
        a = a if in_batched[0] else jnp.broadcast_to(a, (axis_size, *a.shape))
        b = b if in_batched[1] else jnp.broadcast_to(b, (axis_size, *b.shape))
        return lax.map(lambda pair: batched(*pair), (a, b)), True

    return batched


def _conv(
    x: Array,
    kernel: Array,
    pads: Pads,
    strides: tuple[int, ...] = (1, 1),
    lhs_dilation: tuple[int, ...] = (1, 1),
    rhs_dilation: tuple[int, ...] = (1, 1),
) -> Array:
    return lax.conv_general_dilated(
        x,
        kernel,
        strides,
        pads,
        dimension_numbers=_LABELS,
        lhs_dilation=lhs_dilation,
        rhs_dilation=rhs_dilation,
    )


def _forward(geometry: _Geometry, x: Array, kernel: Array) -> Array:
    return _conv(x, kernel, geometry.pads, strides=(geometry.stride,) * 2)


def _input_gradient(geometry: _Geometry, dy: Array, kernel: Array) -> Array:
    """dy (n, h', w', o), kernel (kh, kw, c, o) -> dx (n, h, w, c)."""
    flipped = kernel[::-1, ::-1].transpose(0, 1, 3, 2)
    pads = tuple(
        (k - 1 - before, size - (out - 1) * geometry.stride - 1 + before)
        for k, (before, _), size, out in zip(
            geometry.kernel, geometry.pads, geometry.size, dy.shape[1:3], strict=True
        )
    )
    return _conv(dy, flipped, pads, lhs_dilation=(geometry.stride,) * 2)


def _kernel_gradient(geometry: _Geometry, x: Array, dy: Array) -> Array:
    """x (n, h, w, c), dy (n, h', w', o) -> dk (kh, kw, c, o)."""
    pads = tuple(
        (before, k + (out - 1) * geometry.stride - size - before)
        for k, (before, _), size, out in zip(
            geometry.kernel, geometry.pads, geometry.size, dy.shape[1:3], strict=True
        )
    )
    n = x.shape[0]
    pieces = next(p for p in range(min(_PIECES, n), 0, -1) if n % p == 0)
    x_pieces = x.reshape(pieces, n // pieces, *x.shape[1:]).transpose(0, 4, 2, 3, 1)
    dy_pieces = dy.reshape(pieces, n // pieces, *dy.shape[1:]).transpose(0, 2, 3, 1, 4)
    total = sum(
        _conv(x_pieces[i], dy_pieces[i], pads, rhs_dilation=(geometry.stride,) * 2) for i in range(pieces)
    )
    return jnp.asarray(total).transpose(1, 2, 0, 3)
