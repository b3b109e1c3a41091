from __future__ import annotations

import jax.numpy as jnp
from jax import Array

from nnrun.types import Surface

__all__ = ["rastrigin"]


def rastrigin() -> Surface:
    """Rastrigin: a bowl full of holes; few methods find the deepest.

    f(x, y) = 20 + x² + y² − 10 (cos 2πx + cos 2πy), least at (0, 0), where it is 0

    Source: Rastrigin 1974.
    """

    def value(x: Array) -> Array:
        return 20 + jnp.square(x).sum() - 10 * jnp.cos(2 * jnp.pi * x).sum()

    return Surface(value, (-2.3, 1.7), ((-3.2, 3.2), (-3.2, 3.2)), goal=1e-2, floor=0.0, noise=0.0)
