from __future__ import annotations

from collections.abc import Callable

import jax.numpy as jnp
from jax import Array

from nnrun.options import Steps
from nnrun.schedule._check import at_least_one

__all__ = ["inverse_sqrt"]


def inverse_sqrt(every: Steps) -> Callable[[Array], Array]:
    """Inverse square root: slow decay without an end, for runs whose length is open.

    factor = 1 / √(1 + step / every)

    every   duration after which the rate is 1 / √2 of what it was
    With a warm-up as long as `every`, {name: inverse_sqrt, every: 4000 steps, warmup: 4000 steps}, this is the
    transformer's schedule: √(W / t) after step W, a straight line before it.
    Source: Vaswani et al. 2017, "Attention is all you need", equation 3.
    """
    at_least_one("every", every)

    def factor(step):
        return 1 / jnp.sqrt(1 + jnp.asarray(step, float) / every)

    return factor
