"""What a vision transformer is made of: patches, positions, self-attention."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from nnrun.layer._initializers import initialize
from nnrun.layer._sums import wide
from nnrun.layer.conv import conv
from nnrun.types import Layer

__all__ = ["class_token", "linear", "patches", "positions", "self_attention"]


def patches(size: int, channels: int) -> Layer:
    """Images (h, w, c) to tokens (h/size · w/size, channels): one dense layer on each patch."""
    project = conv(channels, size, stride=size, padding="valid", init="lecun_normal")

    def init(key, x_shape):
        if x_shape[0] % size or x_shape[1] % size:
            fits = [s for s in range(1, size) if not (x_shape[0] % s or x_shape[1] % s)]
            raise ValueError(
                f"images of shape {x_shape} cannot be cut into patches of {size} × {size}; write patch: {fits[-1]}"
            )
        params, stats, (h, w, c) = project.init(key, x_shape)
        return params, stats, (h * w, c)

    def apply(params, stats, x, key, weight):
        y, stats = project.apply(params, stats, x, key, weight)
        return y.reshape(y.shape[0], -1, y.shape[-1]), stats

    return Layer(init, apply)


def class_token() -> Layer:
    """Tokens (t, c) to (t + 1, c): one that is learned goes in front, and is read at the end."""

    def init(key, x_shape):
        return {"token": 0.02 * jax.random.normal(key, (x_shape[1],))}, {}, (x_shape[0] + 1, x_shape[1])

    def apply(params, stats, x, key, weight):
        del key, weight
        first = jnp.broadcast_to(params["token"], (x.shape[0], 1, x.shape[2]))
        return jnp.concatenate([first, x], axis=1), stats

    return Layer(init, apply)


def positions() -> Layer:
    """Adds to each token what is learned about its place: `position` (t, c)."""

    def init(key, x_shape):
        return {"position": 0.02 * jax.random.normal(key, x_shape)}, {}, x_shape

    def apply(params, stats, x, key, weight):
        del key, weight
        return x + params["position"][None], stats

    return Layer(init, apply)


def linear(units: int, bias: bool = True) -> Layer:
    """A dense layer on the last axis of whatever there is: x (n, ..., c) -> y (n, ..., units)."""

    def init(key, x_shape):
        params = {"kernel": initialize("lecun_normal", key, (x_shape[-1], units))}
        return params | ({"bias": jnp.zeros(units)} if bias else {}), {}, (*x_shape[:-1], units)

    def apply(params, stats, x, key, weight):
        del key, weight
        y = x @ params["kernel"]
        return (y + params["bias"].reshape((1,) * (y.ndim - 1) + (-1,)) if bias else y), stats

    return Layer(init, apply)


def self_attention(heads: int) -> Layer:
    """Multi-head self-attention: every token gathers from all others what its query fits.

    y = concat over heads of softmax(Q Kᵀ / √d) V, times W_o plus b_o;  Q, K, V = x W + b in `heads` parts of d each
    K has no bias: it would add the same to all that a softmax compares.
    Shapes: x (n, t, c) -> y (n, t, c), heads · d = c.
    Source: Vaswani et al. 2017, "Attention is all you need".
    """

    def init(key, x_shape):
        c = x_shape[-1]
        if c % heads:
            raise ValueError(f"width {c} cannot be divided among {heads} heads; write a multiple of {heads}")
        parts = {
            name: linear(c, bias=name != "key").init(jax.random.fold_in(key, i), x_shape)[0]
            for i, name in enumerate(("query", "key", "value", "out"))
        }
        return parts, {}, x_shape

    def apply(params, stats, x, key, weight):
        del key, weight
        n, t, c = x.shape

        def part(name, x):
            return linear(c, bias=name != "key").apply(params[name], {}, x, None, None)[0]

        query, keys, value = (
            part(name, x).reshape(n, t, heads, c // heads) for name in ("query", "key", "value")
        )
        scores = jnp.einsum("nqhd,nkhd->nhqk", query, keys) / (c // heads) ** 0.5
        shares = jax.nn.softmax(wide(scores)).astype(x.dtype)
        mixed = jnp.einsum("nhqk,nkhd->nqhd", shares, value)
        return part("out", mixed.reshape(n, t, c)), stats

    return Layer(init, apply)
