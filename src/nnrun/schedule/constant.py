from __future__ import annotations

from collections.abc import Callable

import jax.numpy as jnp
from jax import Array

__all__ = ["constant"]


def constant() -> Callable[[Array], Array]:
    """Constant: factor 1 throughout."""

    def factor(step):
        del step
        return jnp.ones(())

    return factor
