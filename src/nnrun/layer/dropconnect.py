from __future__ import annotations

from typing import Annotated, Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from nnrun.layer._activations import activation_layer
from nnrun.layer._noise import drop_mask, keep_probability
from nnrun.layer._sums import divided, wide
from nnrun.options import Count, EntryMark, Fraction, is_off
from nnrun.types import Layer

__all__ = ["dropconnect"]

Inner = Annotated[Any, EntryMark("layer")]


def dropconnect(
    inner: Inner,
    rate: Fraction = 0.5,
    mask: Literal["batch", "example"] = "batch",
    inference: Literal["mean", "gaussian"] = "mean",
    samples: Count = 1000,
    activation: Literal[
        "none", "relu", "tanh", "gelu", "leaky_relu", "elu", "silu", "mish", "softplus", "sigmoid"
    ] = "none",
) -> Layer:
    """DropConnect: sets weights and biases of a dense or conv layer to zero in training.

    with noise   y = a((M ∘ W / p) x + m ∘ b / p),  entries of M, m ~ Bernoulli(p), p = 1 − rate
    mean         y = a(W x + b)
    gaussian     y = average of a(u) over u ~ N(μ, σ²),  μ = W x + b,  σ² = (1 − p)/p · (W² x² + b²)
    Without noise u has exactly this mean and variance, and is near to normal where many weights meet; a(μ) is
    not the mean of a(u) where a bends.  The paper leaves training unscaled, W_paper = W / p, which is the same.

    inner       the layer whose weights are dropped: {name: dense, units: 800} or {name: conv, filters: 32}
    rate        probability of dropping a weight, in [0, 1)
    mask        batch: one mask for all examples of a step; example: one for each, as in the paper, at a cost
                of a matrix product for each example
    inference   what an evaluation does, mean or gaussian
    samples     gaussian: how many values of u, the equally probable ones (the paper draws them at random)
    activation  a, which gaussian has to know: none, relu, tanh, gelu, leaky_relu, elu, silu, mish,
                softplus or sigmoid
    Parameters and their names are those of the layer inside.
    Source: Wan et al. 2013, "Regularization of neural networks using DropConnect", Algorithms 1 and 2.
    """

    def bend(u):
        return activation_layer(activation).apply({}, {}, u, None, None)[0]

    def init(key, x_shape):
        params, stats, y_shape = inner.init(key, x_shape)
        if stats or "kernel" not in params or not set(params) <= {"kernel", "bias"}:
            raise ValueError(
                "dropconnect drops weights of dense and conv; write inner: {name: dense, units: 800}"
            )
        if _draws(inner, params, x_shape):
            raise ValueError("dropconnect inside dropconnect drops twice; write one of them, with one rate")
        return params, stats, y_shape

    def apply(params, stats, x, key, weight):
        if is_off(rate) or (key is None and inference == "mean"):
            y, stats = inner.apply(params, stats, x, None, weight)
            return bend(y), stats
        if key is None:
            return _moments_matched(inner, params, x, rate, samples, bend), stats
        if mask == "batch":
            return bend(inner.apply(_dropped(params, key, rate), stats, x, None, weight)[0]), stats

        def one(number, row):
            masked = _dropped(params, jax.random.fold_in(key, number), rate)
            return inner.apply(masked, stats, row[None], None, None)[0][0]

        return bend(jax.vmap(one)(jnp.arange(x.shape[0], dtype=jnp.uint32), x)), stats

    return Layer(init, apply)


def _draws(layer, params, x_shape):
    """Whether the layer has noise of its own: whether its outputs come from its key."""
    x = jnp.zeros((1, *x_shape), params["kernel"].dtype)
    jaxpr = jax.make_jaxpr(lambda key: layer.apply(params, {}, x, key, None)[0])(jax.random.key(0)).jaxpr
    return any(jaxpr.invars[0] is var for equation in jaxpr.eqns for var in equation.invars)


def _dropped(params, key, rate):
    """The parameters, each entry at 0 or divided by the probability of keeping it."""
    dropped = {}
    for i, (name, array) in enumerate(sorted(params.items())):
        kept, keep = drop_mask(jax.random.fold_in(key, i), array.shape, rate)
        dropped[name] = jnp.where(kept, divided(array, keep), 0)
    return dropped


def _moments_matched(inner, params, x, rate, samples, bend):
    """The average of bend(u) over the normal distribution of u."""
    dtype, x, params = x.dtype, wide(x), jax.tree.map(wide, params)
    keep = keep_probability(rate).astype(x.dtype)
    mean = inner.apply(params, {}, x, None, None)[0]
    square = inner.apply(jax.tree.map(jnp.square, params), {}, jnp.square(x), None, None)[0]
    # A fast convolution subtracts, so rounding may take the sum of squares below 0.
    deviation = jnp.sqrt(jnp.maximum((1 - keep) / keep * square, 0))
    from scipy.special import ndtri  # its import takes a quarter of a second

    z = jnp.asarray(ndtri((np.arange(samples) + 0.5) / samples), x.dtype)

    def add(i, total):
        return total + bend(mean + deviation * z[i])

    return (lax.fori_loop(0, samples, add, jnp.zeros_like(mean)) / samples).astype(dtype)
