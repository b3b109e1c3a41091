from __future__ import annotations

import jax.numpy as jnp
from jax import lax

from nnrun.layer._sums import wide
from nnrun.options import Positive
from nnrun.types import Layer

__all__ = ["layer_norm"]


def layer_norm(eps: Positive = 1e-5, scale: bool = True, bias: bool = True) -> Layer:
    """Layer normalisation: the channels of each place to mean 0 and variance 1.

    y = scale · (x − μ) / √(σ² + eps) + bias, μ and σ² over the last axis alone (σ² divided by its length), in
    training as in evaluation: no example sees another.

    eps     keeps the division finite
    scale   whether there is a scale; it starts at 1
    bias    whether there is a bias; it starts at 0
    Shapes: x (n, ..., c) -> y; `scale` and `bias` are (c,).  A vector (c,) is normalised as a whole, a sequence
    (t, c) token by token, an image (h, w, c) pixel by pixel, as in flax and, for tokens, in torch.  What takes
    the statistics of a whole image is group_norm with groups: 1.
    Source: Ba et al. 2016, "Layer normalization".
    """
    has_scale, has_bias = scale, bias

    def init(key, x_shape):
        del key
        if not x_shape:
            raise ValueError("layer_norm needs a vector per example, got a number; put dense before it")
        c = x_shape[-1]
        params = {"scale": jnp.ones(c)} if has_scale else {}
        return params | ({"bias": jnp.zeros(c)} if has_bias else {}), {}, x_shape

    def apply(params, stats, x, key, weight):
        del key, weight
        dtype, x = x.dtype, wide(x)
        centred = x - x.mean(-1, keepdims=True)
        y = centred * lax.rsqrt(jnp.square(centred).mean(-1, keepdims=True) + eps)
        across = (1,) * (x.ndim - 1) + (-1,)
        y = y * wide(params["scale"]).reshape(across) if has_scale else y
        y = y + wide(params["bias"]).reshape(across) if has_bias else y
        return y.astype(dtype), stats

    return Layer(init, apply)
