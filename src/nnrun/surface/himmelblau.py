from __future__ import annotations

import jax.numpy as jnp
from jax import Array

from nnrun.types import Surface

__all__ = ["himmelblau"]


def himmelblau() -> Surface:
    """Himmelblau: four equal minima; where one ends depends on the method.

    f(x, y) = (x² + y − 11)² + (x + y² − 7)², 0 at (3, 2), (−2.805, 3.131), (−3.779, −3.283), (3.584, −1.848)

    Source: Himmelblau 1972.
    """

    def value(x: Array) -> Array:
        return jnp.square(x[0] ** 2 + x[1] - 11) + jnp.square(x[0] + x[1] ** 2 - 7)

    return Surface(value, (-0.5, -1.0), ((-5.0, 5.0), (-5.0, 5.0)), goal=1e-3, floor=0.0, noise=0.0)
