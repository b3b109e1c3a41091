from __future__ import annotations

import jax.numpy as jnp
from jax import Array

from nnrun.types import Surface

__all__ = ["long_valley"]


def long_valley() -> Surface:
    """Long valley: a hundred times steeper across than along; SGD zigzags, momentum does not.

    f(x, y) = (x² + 100 y²) / 2, least at (0, 0), where it is 0

    Lecture: the picture that begins it: "very slow progress along flat direction, jitter along steep one".
    Source: cs231n 2016, lecture 6.
    """

    def value(x: Array) -> Array:
        return (jnp.square(x[0]) + 100 * jnp.square(x[1])) / 2

    return Surface(value, (-9.0, 0.8), ((-10.0, 4.0), (-1.2, 1.2)), goal=1e-3, floor=0.0, noise=0.0)
