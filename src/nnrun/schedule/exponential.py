from __future__ import annotations

from collections.abc import Callable

import jax.numpy as jnp
from jax import Array

from nnrun.options import Probability, Steps
from nnrun.schedule._check import at_least_one

__all__ = ["exponential"]


def exponential(every: Steps, decay: Probability = 0.5) -> Callable[[Array], Array]:
    """Exponential: the rate falls by the same share at every step.

    factor = decay^(step / every) = e^(−k · step),  k = −ln(decay) / every

    every   duration over which the rate falls to decay times what it was, such as 10 epochs
    decay   in [0, 1]
    Lecture: the second of three decays, α = α₀ e^(−kt).
    Source: cs231n 2016, lecture 6.
    """
    at_least_one("every", every)

    def factor(step):
        return jnp.asarray(decay, float) ** (jnp.asarray(step, float) / every)

    return factor
