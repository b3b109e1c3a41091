from __future__ import annotations

from collections.abc import Callable

import jax.numpy as jnp
from jax import Array

__all__ = ["constant"]


def constant() -> Callable[[Array], Array]:
    """Constant: factor 1 throughout.

    Lecture: for an optimizer to begin with; decay is added once it is seen that the loss stops falling.
    Source: cs231n 2016, lecture 6.
    """

    def factor(step):
        del step
        return jnp.ones(())

    return factor
