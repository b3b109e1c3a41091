from __future__ import annotations

from typing import Literal

import jax
import jax.numpy as jnp

from nnrun.layer._convolution import convolve
from nnrun.layer._initializers import Initializer, initialize
from nnrun.options import Count
from nnrun.types import Layer

__all__ = ["conv"]


def conv(
    filters: Count,
    kernel: Count = 3,
    stride: Count = 1,
    padding: Literal["same", "valid"] = "same",
    bias: bool = True,
    init: Initializer = "he_normal",
) -> Layer:
    """Convolution over images: `filters` square windows slide over height and width.

    filters  number of output channels
    kernel   height and width of a window
    stride   distance between neighbouring windows
    padding  same: ⌈h / stride⌉ outputs per side, zeros around; valid: only windows that fit
    bias     whether an offset per channel is added (leave it out before batch norm)
    init     distribution of the windows; the bias starts at 0
    Shapes: x (n, h, w, c) -> y (n, h', w', filters); `kernel` is (kernel, kernel, c, filters).
    """
    scheme = init

    def init_layer(key, x_shape):
        if len(x_shape) != 3:
            raise ValueError(
                f"conv needs images (h, w, c), got shape {x_shape}; use it before flatten and dense"
            )
        window = (kernel, kernel, x_shape[2], filters)
        if padding == "valid" and kernel > min(x_shape[:2]):
            raise ValueError(
                f"conv with kernel {kernel} does not fit into images of shape {x_shape}; write a smaller one, or "
                "padding: same"
            )
        params = {"kernel": initialize(scheme, key, window)}
        if bias:
            params["bias"] = jnp.zeros(filters)
        images = jax.ShapeDtypeStruct((1, *x_shape), params["kernel"].dtype)
        y = jax.eval_shape(lambda x, k: convolve(x, k, stride, padding), images, params["kernel"])
        return params, {}, y.shape[1:]

    def apply(params, stats, x, key, weight):
        del key, weight
        y = convolve(x, params["kernel"], stride, padding)
        return (y + params["bias"][None, None, None, :] if bias else y), stats

    return Layer(init_layer, apply)
