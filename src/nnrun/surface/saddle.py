from __future__ import annotations

import jax.numpy as jnp
from jax import Array

from nnrun.types import Surface

__all__ = ["saddle"]


def saddle() -> Surface:
    """Saddle: a pass between two minima, with almost no slope to leave it by.

    f(x, y) = x² − y² + y⁴ / 4, least at (0, ±√2), where it is −1; a saddle at (0, 0)

    The start is a thousandth beside the ridge.  Newton's method goes to the saddle.
    Source: the picture of Alec Radford in cs231n 2016, lecture 6.
    """

    def value(x: Array) -> Array:
        return jnp.square(x[0]) - jnp.square(x[1]) + x[1] ** 4 / 4

    return Surface(value, (1.5, 1e-3), ((-2.0, 2.0), (-2.2, 2.2)), goal=-0.99, floor=-1.0, noise=0.0)
