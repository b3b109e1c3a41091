from __future__ import annotations

from collections.abc import Callable

import jax.numpy as jnp
from jax import Array

from nnrun.options import Positive, Probability

__all__ = ["polynomial"]


def polynomial(total: int, power: Positive = 2.0, final: Probability = 0.0) -> Callable[[Array], Array]:
    """Polynomial: a power of the time that is left, down to `final` at the end of the run.

    factor = final + (1 − final) · (1 − step / total)^power

    total   steps of the run, without the warm-up
    power   > 0; 1 is linear, more falls faster at first
    final   factor at the end, in [0, 1]
    Source: Chen et al. 2017, "DeepLab" (the poly policy, power 0.9).
    """

    def factor(step):
        left = 1 - jnp.clip(jnp.asarray(step, float) / total, 0.0, 1.0)
        return final + (1 - final) * left ** jnp.asarray(power, float)

    return factor
