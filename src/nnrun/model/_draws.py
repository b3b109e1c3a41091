"""Predictions averaged over draws of pooling regions."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import Array, lax

from nnrun.layer._sums import wide
from nnrun.types import Layer

__all__ = ["over_draws"]


def over_draws(net: Callable[[Array | int], Layer], draws: int, outputs: int) -> Layer:
    """net(0); without noise, the average of the predictions of net(0), ..., net(draws − 1).

    net      the model whose poolings take the regions of that draw where there is no noise
    outputs  more than one: they are logits, and the logarithm of the mean probabilities is put out, whose softmax
             those are; one: the mean itself
    """
    plain = net(0)

    def apply(params, stats, x, key, weight):
        if key is not None or draws == 1:
            return plain.apply(params, stats, x, key, weight)

        def prediction(draw):
            y, new = net(draw).apply(params, stats, x, None, weight)
            return (jax.nn.log_softmax(wide(y)) if outputs > 1 else wide(y)), new

        first, new = prediction(jnp.uint32(0))
        join = jnp.logaddexp if outputs > 1 else jnp.add
        total = lax.fori_loop(1, draws, lambda i, y: join(y, prediction(i)[0]), first)
        return (total - jnp.log(jnp.asarray(draws, total.dtype)) if outputs > 1 else total / draws), new

    return Layer(plain.init, apply, draws=draws)
