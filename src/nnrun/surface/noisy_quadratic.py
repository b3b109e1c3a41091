from __future__ import annotations

import jax.numpy as jnp
from jax import Array

from nnrun.options import Rate
from nnrun.types import Surface

__all__ = ["noisy_quadratic"]


def noisy_quadratic(noise: Rate = 1.0) -> Surface:
    """Noisy quadratic: a bowl whose gradients are wrong by chance, as those of mini-batches are.

    f(x, y) = (x² + 20 y²) / 2, least at (0, 0), where it is 0;  the gradient has noise of deviation `noise`

    noise   standard deviation of each component of a gradient's error, the same errors for every method
    What is drawn is the true value.  A constant rate ends in a cloud around the minimum.
    Source: Schaul, Zhang & LeCun 2013, "No more pesky learning rates"; Zhang et al. 2019.
    """

    def value(x: Array) -> Array:
        return (jnp.square(x[0]) + 20 * jnp.square(x[1])) / 2

    return Surface(value, (-4.0, 1.5), ((-5.0, 3.0), (-2.0, 2.0)), goal=1e-2, floor=0.0, noise=noise)
