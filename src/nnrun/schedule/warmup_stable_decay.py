from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import jax.numpy as jnp
from jax import Array

from nnrun.options import Probability, Steps
from nnrun.schedule._check import at_least_one

__all__ = ["warmup_stable_decay"]


def warmup_stable_decay(
    total: int, decay: Steps, final: Probability = 0.0, shape: Literal["linear", "cosine", "sqrt"] = "linear"
) -> Callable[[Array], Array]:
    """Warm-up, stable, decay: constant until shortly before the end, then down to `final`.

    factor = 1 before the last `decay` steps, then final + (1 − final) · left(q),  q = 0 ... 1 over them
    left(q) = 1 − q (linear),  (1 + cos πq) / 2 (cosine),  1 − √q (sqrt)

    total   steps of the run, without the warm-up
    decay   duration of the fall, such as 20%
    final   factor at the end, in [0, 1]
    shape   of the fall
    The warm-up is the key that every schedule has: {name: warmup_stable_decay, warmup: 2%, decay: 20%}.
    Use: for runs that may be made longer: a checkpoint before the decay can continue at the full rate.
    Source: Hu et al. 2024, "MiniCPM"; Hägele et al. 2024 (the 1 − √ shape).
    """
    at_least_one("decay", decay)

    def factor(step):
        q = jnp.clip((jnp.asarray(step, float) - (total - decay)) / decay, 0.0, 1.0)
        left = {"linear": 1 - q, "cosine": (1 + jnp.cos(jnp.pi * q)) / 2, "sqrt": 1 - jnp.sqrt(q)}[shape]
        return final + (1 - final) * left

    return factor
