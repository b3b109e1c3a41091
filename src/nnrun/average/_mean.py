"""The mean of the parameters at some of the steps."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import Array

from nnrun.types import Average

__all__ = ["mean_of"]


def mean_of(counts: Callable[[Array], Array]) -> Average:
    """The mean of the parameters after the steps for which `counts(step)` holds."""

    def init(params):
        return {"mean": jax.tree.map(jnp.zeros_like, params), "count": jnp.zeros((), jnp.int32)}

    def update(memory, params, step):
        taken = counts(step)
        count = memory["count"] + jnp.asarray(taken, jnp.int32)
        share = jnp.where(taken, 1.0, 0.0) / jnp.maximum(count, 1).astype(float)
        mean = jax.tree.map(lambda m, x: m + share.astype(x.dtype) * (x - m), memory["mean"], params)
        return {"mean": mean, "count": count}

    def value(memory, params):
        return jax.tree.map(lambda m, x: jnp.where(memory["count"] > 0, m, x), memory["mean"], params)

    return Average(init, update, value)
