from __future__ import annotations

import jax.numpy as jnp
from jax import lax

from nnrun.layer._sums import wide
from nnrun.options import Count, Positive
from nnrun.types import Layer

__all__ = ["group_norm"]


def group_norm(groups: Count, eps: Positive = 1e-5, scale: bool = True, bias: bool = True) -> Layer:
    """Group normalisation: each group of channels of an example to mean 0 and variance 1.

    y = scale · (x − μ) / √(σ² + eps) + bias, μ and σ² over the channels of a group and all places of one
    example (σ² divided by their number), in training as in evaluation: no example sees another.

    groups   how many groups of channels that lie side by side; must divide the channels.  1 normalises the
             whole example, as many as there are channels each channel (instance normalisation)
    eps      keeps the division finite
    scale    whether there is a scale; it starts at 1
    bias     whether there is a bias; it starts at 0
    Shapes: x (n, ..., c) -> y; `scale` and `bias` are (c,).
    Source: Wu & He 2018, "Group normalization" (32 groups for 64 and more channels).
    """
    has_scale, has_bias = scale, bias

    def init(key, x_shape):
        del key
        c = x_shape[-1] if x_shape else 0
        if c == 0 or c % groups:
            raise ValueError(f"groups: {groups} does not divide {c} channels; write {_nearest(c, groups)}")
        params = {"scale": jnp.ones(c)} if has_scale else {}
        return params | ({"bias": jnp.zeros(c)} if has_bias else {}), {}, x_shape

    def apply(params, stats, x, key, weight):
        del key, weight
        dtype, x = x.dtype, wide(x)
        grouped = x.reshape(*x.shape[:-1], groups, -1)  # (n, ..., groups, c / groups)
        axes = (*range(1, x.ndim - 1), x.ndim)
        centred = grouped - grouped.mean(axes, keepdims=True)
        y = centred * lax.rsqrt(jnp.square(centred).mean(axes, keepdims=True) + eps)
        y = y.reshape(x.shape)
        across = (1,) * (x.ndim - 1) + (-1,)
        y = y * wide(params["scale"]).reshape(across) if has_scale else y
        y = y + wide(params["bias"]).reshape(across) if has_bias else y
        return y.astype(dtype), stats

    return Layer(init, apply)


def _nearest(channels: int, groups: int) -> int:
    """The divisor of the channels that is nearest to a number of groups."""
    divisors = [d for d in range(1, channels + 1) if channels % d == 0] or [1]
    return min(divisors, key=lambda d: abs(d - groups))
