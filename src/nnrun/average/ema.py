from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import Array

from nnrun.options import Fraction
from nnrun.types import Average

__all__ = ["ema"]


def ema(decay: Fraction = 0.999, warmup: bool = False) -> Average:
    """EMA: an exponential moving average of the parameters, over about 1 / (1 − decay) steps.

    m ← d·m + (1 − d)·x,  w ← d·w + (1 − d),  average = m / w,  from m = 0 and w = 0

    w is the sum of the weights so far, 1 − dᵗ where d does not change: the correction of Adam's moments.
    With warmup, d is min(decay, t / (t + 9)) at step t, so that the early steps are soon forgotten.

    decay    d in [0, 1)
    warmup   whether the memory begins short and grows up to decay
    Lecture: "keep track of a running average of the parameter vector", with 0.995, and use it at test time.
    Source: Polyak & Juditsky 1992; Kingma & Ba 2015, section 7.2 (correction); Tan & Le 2019 (warm-up).
    """

    def init(params):
        return {"sum": jax.tree.map(jnp.zeros_like, params), "weight": jnp.zeros(())}

    def update(memory, params, step):
        d = jnp.asarray(decay, float)
        if warmup:
            t = jnp.asarray(step, float)
            d = jnp.minimum(d, t / (t + 9))

        def blend(m: Array, x: Array) -> Array:
            return d.astype(x.dtype) * m + (1 - d).astype(x.dtype) * x

        return {"sum": jax.tree.map(blend, memory["sum"], params), "weight": d * memory["weight"] + (1 - d)}

    def value(memory, params):
        weight = memory["weight"]

        def corrected(m: Array, x: Array) -> Array:
            return jnp.where(weight > 0, m / weight.astype(x.dtype), x)

        return jax.tree.map(corrected, memory["sum"], params)

    return Average(init, update, value)
