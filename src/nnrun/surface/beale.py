from __future__ import annotations

import jax.numpy as jnp
from jax import Array

from nnrun.types import Surface

__all__ = ["beale"]


def beale() -> Surface:
    """Beale: a flat bottom between sharp corners.

    f(x, y) = (1.5 − x + xy)² + (2.25 − x + xy²)² + (2.625 − x + xy³)², least at (3, 0.5), where it is 0

    Steep walls and nearly flat plains: a rate that is right for one is wrong for the other.
    Source: Beale 1958; Moré, Garbow & Hillstrom 1981, problem 5.
    """

    def value(x: Array) -> Array:
        a, b = x[0], x[1]
        residuals = [1.5 - a + a * b, 2.25 - a + a * b**2, 2.625 - a + a * b**3]
        return jnp.square(jnp.stack(residuals)).sum()

    return Surface(value, (1.0, 1.5), ((-0.5, 4.2), (-1.2, 1.8)), goal=1e-3, floor=0.0, noise=0.0)
