"""A linear rise before any schedule."""

from __future__ import annotations

from collections.abc import Callable

import jax.numpy as jnp
from jax import Array

__all__ = ["warmed_up"]


def warmed_up(factor: Callable[[Array], Array], steps: int) -> Callable[[Array], Array]:
    """(step + 1) / (steps + 1) while step < steps, so that no step is lost at rate 0; then factor(step − steps).

    Source: Goyal et al. 2017, "Accurate, large minibatch SGD".
    """
    if steps == 0:
        return factor

    def warmed(step):
        rise = (jnp.asarray(step, float) + 1) / (steps + 1)
        return jnp.where(step < steps, rise, factor(jnp.maximum(step - steps, 0)))

    return warmed
