"""2-D convolution: on a CPU by kernels that are compiled with nnrun, or in a form that XLA compiles well there.

Where the kernels are (nnrun.kernels), they compute float32 and float64.  Without them:

The gradients that JAX derives are convolutions with other dimension labels.  XLA's CPU backend brings those
to its fast form b01f,01io->b01f at top level, but not inside the body of a loop, where they run 7 to 25 times
slower, and nnrun's training step is the body of a loop.  So all three convolutions are written in that form
(`_canonical`).  Cleverer forms were tried and are gone: Winograd's F(4, 3) over rows, blocks of neighbouring columns
as further channels, and strides as convolutions of phases are up to twice as fast one by one on one core, but on two
cores a whole step of conv32-conv64 and of ResNet-20 took a tenth longer with them.

`vmap` over the kernel would make a grouped convolution, which is slow too: a population runs its members
one after the other here, through the same code.  On other backends the plain convolution is used.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.custom_batching import custom_vmap

from nnrun import kernels
from nnrun.kernels import Geometry
from nnrun.layer import _canonical
from nnrun.layer._canonical import LABELS
from nnrun.layer._sums import wide

__all__ = ["convolve"]

_COMPILED = kernels.forward, kernels.input_gradient, kernels.kernel_gradient
_CANONICAL = _canonical.forward, _canonical.input_gradient, _canonical.kernel_gradient


def convolve(x: Array, kernel: Array, stride: int, padding: str) -> Array:
    """x (n, h, w, c), kernel (kh, kw, c, o) -> (n, h', w', o); padding "same" or "valid"."""
    size, window = x.shape[1:3], kernel.shape[:2]
    pads = tuple(lax.padtype_to_pads(size, window, (stride, stride), padding.upper()))
    if jax.default_backend() != "cpu":
        return lax.conv_general_dilated(x, kernel, (stride, stride), pads, dimension_numbers=LABELS)
    # bfloat16: its products are exact in float32, in which they are summed; the CPU has no faster way.
    x_wide, kernel_wide = wide(x), wide(kernel)
    convolution = _derived(Geometry(stride, pads, size, window), kernels.serve(x_wide.dtype))
    return convolution(x_wide, kernel_wide).astype(x.dtype)


@lru_cache(maxsize=256)
def _derived(geometry: Geometry, compiled: bool) -> Callable[[Array, Array], Array]:
    """The convolution of one geometry, with gradients of every order.

    Each of the three functions is linear in both arguments, and its gradients are the other two.
    """
    y_of, dx_of, dk_of = (
        jax.custom_vjp(_one_by_one(partial(function, geometry)))
        for function in (_COMPILED if compiled else _CANONICAL)
    )

    def derive(function, gradients):
        function.defvjp(lambda a, b: (function(a, b), (a, b)), lambda saved, g: gradients(*saved, g))

    derive(y_of, lambda x, kernel, g: (dx_of(g, kernel), dk_of(x, g)))
    derive(dx_of, lambda dy, kernel, g: (y_of(g, kernel), dk_of(g, dy)))
    derive(dk_of, lambda x, dy, g: (dx_of(dy, g), y_of(x, g)))
    return y_of


def _one_by_one(function: Callable[[Array, Array], Array]) -> Callable[[Array, Array], Array]:
    """The same function, but under vmap a loop over the members instead of a grouped convolution."""
    batched = custom_vmap(function)

    @batched.def_vmap
    def loop(axis_size, in_batched, a, b):
        a = a if in_batched[0] else jnp.broadcast_to(a, (axis_size, *a.shape))
        b = b if in_batched[1] else jnp.broadcast_to(b, (axis_size, *b.shape))
        return lax.map(lambda pair: batched(*pair), (a, b)), True

    return batched
