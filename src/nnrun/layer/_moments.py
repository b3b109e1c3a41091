"""Batch norm's sums and their gradients, in as few passes over memory as there can be on a CPU.

    moments(x, weight)                    the mean and the variance of a batch, in one pass
    scale_shift(x, mean, factor, bias)    (x − mean) · factor + bias; its gradient sums in one pass, writes in another

The gradient that JAX derives of (x − μ) / √(σ² + eps) · scale + bias reads and writes arrays of the size of x up to
seven times.  Here Σ dy and Σ dy (x − mean) are one pass, and what flows back through μ and σ² joins dy · factor
where that is written.  Batch norm and relu, forward and backward, by benchmarks/batch_norm.py on two cores with
AVX-512:

    channels, size    derived by JAX    so, without kernels    with kernels    torch, channels last
    16       32²            14.6 ms                  7.1 ms          4.0 ms                  8.9 ms
    32       16²             5.0                     2.4             1.4                     4.4
    64        8²             2.9                     1.3             0.9                     2.2
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.custom_batching import custom_vmap

from nnrun import kernels

__all__ = ["moments", "scale_shift"]


def moments(x: Array, weight: Array) -> tuple[Array, Array]:
    """x (n, ..., c), weight (n,) -> mean (c,), variance (c,) of all entries of a channel, divided by their number.

    An example counts `weight` times, which is not differentiated.  Where all weights are 0 the results are 0.
    """
    weight = lax.stop_gradient(weight)
    if not _is_rewritten(x):
        return _of_batch(x, weight)
    if not kernels.serve(x.dtype):
        return _moments_of_batch(x, weight)
    means, deviations = _compiled_moments()(x)
    count, w = _count(x, weight), weight[:, None]
    places = x.size // means.size
    mean = (w * means).sum(0) * places / count
    return mean, (w * (deviations + places * jnp.square(means - mean[None]))).sum(0) / count


def scale_shift(x: Array, mean: Array, factor: Array, bias: Array) -> Array:
    """x (n, ..., c), the rest (c,) -> (x − mean) · factor + bias."""
    return (_scaled if _is_rewritten(x) else _scale_shift)(x, mean, factor, bias)


def _is_rewritten(x: Array) -> bool:
    """Whether the gradients are those of here: of images on a CPU.  Elsewhere XLA joins what JAX derives."""
    return x.ndim > 2 and jax.default_backend() == "cpu"


def _scale_shift(x: Array, mean: Array, factor: Array, bias: Array) -> Array:
    return (x - _along(mean, x)) * _along(factor, x) + _along(bias, x)


_scaled = jax.custom_vjp(_scale_shift)


def _scaled_forward(x: Array, mean: Array, factor: Array, bias: Array) -> tuple[Array, tuple[Array, ...]]:
    return _scaled(x, mean, factor, bias), (x, mean, factor)


def _scaled_backward(saved: tuple[Array, ...], dy: Array) -> tuple[Array, Array, Array, Array]:
    x, mean, factor = saved
    bias_slope, factor_slope = _slopes(dy, x, mean)
    return dy * _along(factor, x), -factor * bias_slope, factor_slope, bias_slope


_scaled.defvjp(_scaled_forward, _scaled_backward)


def _slopes(dy: Array, x: Array, mean: Array) -> tuple[Array, Array]:
    """dy, x (n, ..., c), mean (c,) -> Σ dy (c,), Σ dy (x − mean) (c,)."""
    if not kernels.serve(x.dtype):
        axes = tuple(range(x.ndim - 1))
        return dy.sum(axes), (dy * (x - _along(mean, x))).sum(axes)
    sums, products = _compiled_slopes()(dy, x, jnp.broadcast_to(mean, (len(x), *mean.shape)))
    return sums.sum(0), products.sum(0)


def _count(x: Array, weight: Array) -> Array:
    """How many entries of a channel count; never 0."""
    return jnp.maximum(weight.sum(), 1) * (x.size // (x.shape[0] * x.shape[-1]))


def _weighted_sum(weight: Array, x: Array) -> Array:
    """weight (n,), x (n, ..., c) -> (c,).  First within each example: weighing every entry takes twice as long."""
    return (weight[:, None] * x.sum(tuple(range(1, x.ndim - 1)))).sum(0)


def _of_batch(x: Array, weight: Array) -> tuple[Array, Array]:
    count = _count(x, weight)
    mean = _weighted_sum(weight, x) / count
    return mean, _weighted_sum(weight, jnp.square(x - _along(mean, x))) / count


# What flows from σ² to μ is 0: without it there is one pass less.
_moments_of_batch = jax.custom_vjp(_of_batch)


def _moments_forward(x: Array, weight: Array) -> tuple[tuple[Array, Array], tuple[Array, ...]]:
    mean, variance = _moments_of_batch(x, weight)
    return (mean, variance), (x, weight, mean)


def _moments_backward(saved: tuple[Array, ...], slopes: tuple[Array, Array]) -> tuple[Array, Array]:
    x, weight, mean = saved
    of_mean, of_variance = (slope / _count(x, weight) for slope in slopes)
    shares = weight.reshape(-1, *(1,) * (x.ndim - 1))
    return shares * (_along(of_mean, x) + 2 * (x - _along(mean, x)) * _along(of_variance, x)), jnp.zeros_like(
        weight
    )


_moments_of_batch.defvjp(_moments_forward, _moments_backward)


@cache
def _compiled_moments() -> Callable[..., tuple[Array, Array]]:
    """The kernel with gradients of every order."""
    call = jax.custom_vjp(_with_members_beside_examples(kernels.moments))

    def forward(x):
        means, deviations = call(x)
        return (means, deviations), (x, means)

    def backward(saved, slopes):
        x, means = saved
        of_mean, of_deviations = (_across(slope, x) for slope in slopes)
        places = x.size // means.size
        return (of_mean / places + 2 * (x - _across(means, x)) * of_deviations,)

    call.defvjp(forward, backward)
    return call


@cache
def _compiled_slopes() -> Callable[..., tuple[Array, Array]]:
    """The kernel with gradients of every order."""
    call = jax.custom_vjp(_with_members_beside_examples(kernels.slopes))

    def forward(dy, x, mean):
        sums, products = call(dy, x, mean)
        return (sums, products), (dy, x, mean, sums)

    def backward(saved, slopes):
        dy, x, mean, sums = saved
        of_sum, of_product = (_across(slope, x) for slope in slopes)
        return of_sum + of_product * (x - _across(mean, x)), of_product * dy, -slopes[1] * sums

    call.defvjp(forward, backward)
    return call


def _with_members_beside_examples(kernel: Callable[..., Array]) -> Callable[..., tuple[Array, Array]]:
    """The two results of a kernel; under vmap one call, since examples know nothing of each other."""

    def both(*arrays):
        results = kernel(*arrays)
        return results[:, 0], results[:, 1]

    batched = custom_vmap(both)

    @batched.def_vmap
    def together(axis_size, in_batched, *arrays):
        members = [
            a if is_batched else jnp.broadcast_to(a, (axis_size, *a.shape))
            for a, is_batched in zip(arrays, in_batched, strict=True)
        ]
        results = batched(*(a.reshape(-1, *a.shape[2:]) for a in members))
        return tuple(a.reshape(axis_size, -1, a.shape[-1]) for a in results), (True, True)

    return batched


def _along(a: Array, x: Array) -> Array:
    """a (c,) with the axes of x in front."""
    return a.reshape(*(1,) * (x.ndim - 1), -1)


def _across(a: Array, x: Array) -> Array:
    """a (n, c) with the axes of x (n, ..., c) between."""
    return a.reshape(a.shape[0], *(1,) * (x.ndim - 2), -1)
