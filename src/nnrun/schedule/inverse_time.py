from __future__ import annotations

from collections.abc import Callable

import jax.numpy as jnp
from jax import Array

from nnrun.options import Rate, Steps
from nnrun.schedule._check import at_least_one

__all__ = ["inverse_time"]


def inverse_time(every: Steps, decay: Rate = 1.0) -> Callable[[Array], Array]:
    """Inverse time: 1/t decay, the classic for which SGD is proven to converge.

    factor = 1 / (1 + decay · step / every),  the lecture's k is decay / every

    every   duration after which the rate is 1 / (1 + decay) of what it was
    decay   k per `every`, ≥ 0
    Lecture: the third of three decays, α = α₀ / (1 + kt).
    Source: Robbins & Monro 1951; cs231n 2016, lecture 6.
    """
    at_least_one("every", every)

    def factor(step):
        return 1 / (1 + decay * jnp.asarray(step, float) / every)

    return factor
