from __future__ import annotations

import jax
import jax.numpy as jnp

from nnrun.layer._initializers import Initializer, initialize
from nnrun.options import Count
from nnrun.types import Layer

__all__ = ["swiglu"]


def swiglu(units: Count, bias: bool = True, init: Initializer = "lecun_normal") -> Layer:
    """SwiGLU: a dense layer that a second one opens and closes, y = silu(x W + b) ⊙ (x V + c).

    units   number of outputs
    bias    whether b and c are there
    init    distribution of W and V; b and c start at 0
    It takes the place of a dense layer and the activation behind it, with twice the weights: two thirds of the units
    make it as large.
    Shapes: x (n, ..., inputs) -> y (n, ..., units); `gate` holds W and b, `value` V and c, as `kernel` (inputs, units)
    and `bias` (units,).
    Source: Shazeer 2020, "GLU variants improve transformer", equation 6, there without biases.
    """
    scheme = init

    def init_layer(key, x_shape):
        params = {}
        for i, name in enumerate(("gate", "value")):
            kernel = initialize(scheme, jax.random.fold_in(key, i), (x_shape[-1], units))
            params[name] = {"kernel": kernel} | ({"bias": jnp.zeros(units)} if bias else {})
        return params, {}, (*x_shape[:-1], units)

    def apply(params, stats, x, key, weight):
        del key, weight

        def part(name):
            y = x @ params[name]["kernel"]
            return y + params[name]["bias"].reshape((1,) * (y.ndim - 1) + (-1,)) if bias else y

        return jax.nn.silu(part("gate")) * part("value"), stats

    return Layer(init_layer, apply)
