from __future__ import annotations

import jax.numpy as jnp
from jax import lax

from nnrun.layer._moments import moments, scale_shift
from nnrun.layer._sums import wide
from nnrun.options import Fraction, Positive
from nnrun.types import Layer

__all__ = ["batch_norm"]


def batch_norm(momentum: Fraction = 0.9, eps: Positive = 1e-5) -> Layer:
    """Batch normalisation: each channel to mean 0 and variance 1, then times scale plus bias.

    training     y = scale · (x − μ) / √(σ² + eps) + bias, μ and σ² of this batch (σ² divided by n);
                 stats ← momentum · stats + (1 − momentum) · (μ, σ²)
    evaluation   the same with the stored statistics
    Examples of weight 0 (padding of a short batch) do not enter μ and σ².  A batch with one value a channel, such as
    a last batch of one example behind a dense layer, has no variance: it takes the stored statistics and leaves them.

    momentum   share of the stored statistics that a step keeps, in [0, 1)
    eps        keeps the division finite
    Shapes: x (n, ..., c) -> y; `scale`, `bias` and the statistics `mean`, `var` are (c,).
    Source: Ioffe & Szegedy 2015, "Batch normalization".  torch.nn calls 1 − momentum its momentum, and stores
    σ² divided by n − 1.
    """

    def init(key, x_shape):
        del key
        c = x_shape[-1]
        return (
            {"scale": jnp.ones(c), "bias": jnp.zeros(c)},
            {"mean": jnp.zeros(c), "var": jnp.ones(c)},
            x_shape,
        )

    def apply(params, stats, x, key, weight):
        del key
        dtype, x = x.dtype, wide(x)
        if weight is None:
            mean, var = stats["mean"], stats["var"]
        else:
            w = weight.astype(x.dtype)
            examples, places = w.sum(), x.size // (x.shape[0] * x.shape[-1])
            if x.shape[0] * places == 1:
                raise ValueError("batch norm over one value has no variance; use at least two examples")
            mean, var = moments(x, w)
            kept = lax.stop_gradient({"mean": mean, "var": var})
            seen = {name: momentum * stats[name] + (1 - momentum) * kept[name] for name in stats}
            enough = examples * places > 1
            stored = {name: array.astype(x.dtype) for name, array in stats.items()}
            mean, var = jnp.where(enough, mean, stored["mean"]), jnp.where(enough, var, stored["var"])
            stats = {name: jnp.where(enough, seen[name], stats[name]) for name in stats}
        factor = wide(params["scale"]) * lax.rsqrt(var + eps)
        return scale_shift(x, mean, factor, wide(params["bias"])).astype(dtype), stats

    return Layer(init, apply)
