from __future__ import annotations

import jax.numpy as jnp
from jax import Array

from nnrun.types import Surface

__all__ = ["rosenbrock"]


def rosenbrock() -> Surface:
    """Rosenbrock: a curved valley, easy to enter and slow to follow.

    f(x, y) = (1 − x)² + 100 (y − x²)², least at (1, 1), where it is 0

    Source: Rosenbrock 1960; Moré, Garbow & Hillstrom 1981, problem 1.
    """

    def value(x: Array) -> Array:
        return jnp.square(1 - x[0]) + 100 * jnp.square(x[1] - jnp.square(x[0]))

    return Surface(value, (-1.2, 1.0), ((-1.7, 1.7), (-0.6, 1.9)), goal=1e-3, floor=0.0, noise=0.0)
