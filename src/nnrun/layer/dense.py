from __future__ import annotations

import jax.numpy as jnp

from nnrun.layer._initializers import Initializer, initialize
from nnrun.options import Count
from nnrun.types import Layer

__all__ = ["dense"]


def dense(units: Count, bias: bool = True, init: Initializer = "he_normal") -> Layer:
    """Dense: every output sees every input, y = x W + b.

    units   number of outputs
    bias    whether b is there (leave it out before batch norm, which takes it away again)
    init    distribution of W; b starts at 0
    Shapes: x (n, inputs) -> y (n, units); W is `kernel` (inputs, units), b is `bias` (units,).
    """
    scheme = init

    def init_layer(key, x_shape):
        if len(x_shape) != 1:
            raise ValueError(f"dense needs a vector per example, got shape {x_shape}; put flatten before it")
        params = {"kernel": initialize(scheme, key, (x_shape[0], units))}
        if bias:
            params["bias"] = jnp.zeros(units)
        return params, {}, (units,)

    def apply(params, stats, x, key, weight):
        del key, weight
        y = x @ params["kernel"]
        return (y + params["bias"][None, :] if bias else y), stats

    return Layer(init_layer, apply)
