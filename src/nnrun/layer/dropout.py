from __future__ import annotations

import jax.numpy as jnp

from nnrun.layer._noise import drop_mask
from nnrun.options import Fraction, is_off
from nnrun.types import Layer

__all__ = ["dropout"]


def dropout(rate: Fraction = 0.5) -> Layer:
    """Dropout: sets units to zero with probability `rate` in training.

    y = x · mask / (1 − rate), mask ~ Bernoulli(1 − rate); y = x without noise (inverted scaling, so that the
    expectation in training is the output at test time).

    rate   probability of dropping a unit, in [0, 1)
    Source: Srivastava et al. 2014, "Dropout: a simple way to prevent neural networks from overfitting".
    """

    def init(key, x_shape):
        del key
        return {}, {}, x_shape

    def apply(params, stats, x, key, weight):
        del params, weight
        if key is None or is_off(rate):
            return x, stats
        mask, keep = drop_mask(key, x.shape, rate)
        return jnp.where(mask, x / keep.astype(x.dtype), 0), stats

    return Layer(init, apply)
