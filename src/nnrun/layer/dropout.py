from __future__ import annotations

from typing import Literal

import jax.numpy as jnp

from nnrun.layer._noise import drop_mask, keep_probability
from nnrun.layer._sums import divided, times
from nnrun.options import Fraction, is_off
from nnrun.types import Layer

__all__ = ["Scaling", "dropout"]

Scaling = Literal["training", "test"]


def dropout(
    rate: Fraction = 0.5,
    scaling: Scaling = "training",
    mask: Literal["element", "channel", "example"] = "element",
) -> Layer:
    """Dropout: sets units to zero with probability `rate` in training.

    scaling training   y = x · m / (1 − rate) with noise, y = x without: the test-time net is the plain one
    scaling test       y = x · m with noise, y = x · (1 − rate) without: the original form
    m ~ Bernoulli(1 − rate); the expectation with noise is the output without in both.

    rate      probability of dropping a unit, in [0, 1)
    scaling   training (inverted dropout) or test (Srivastava et al.; the lecture's first form)
    mask      what is dropped as one: element (each unit), channel (whole maps of an image: spatial dropout),
              example (everything that one example has here)
    Source: Srivastava et al. 2014, "Dropout: a simple way to prevent neural networks from overfitting"; for
    channels Tompson et al. 2015, "Efficient object localization using convolutional networks".
    """

    def init(key, x_shape):
        del key
        return {}, {}, x_shape

    def apply(params, stats, x, key, weight):
        del params, weight
        if is_off(rate):
            return x, stats
        if key is None:
            return (x if scaling == "training" else times(x, keep_probability(rate))), stats
        kept, keep = drop_mask(key, _mask_shape(mask, x.shape), rate)
        return jnp.where(kept, divided(x, keep) if scaling == "training" else x, 0), stats

    return Layer(init, apply)


def _mask_shape(mask, shape):
    """Of the drawn mask: 1 along the axes that are dropped together."""
    between = (1,) * (len(shape) - 2)
    return {
        "element": shape,
        "channel": (shape[0], *between, shape[-1]),
        "example": (shape[0], *between, 1),
    }[mask]
