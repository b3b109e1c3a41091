from __future__ import annotations

import jax.numpy as jnp

from nnrun.layer._compose import stateless
from nnrun.options import Fraction
from nnrun.types import Layer

__all__ = ["leaky_relu"]


def leaky_relu(slope: Fraction = 0.01) -> Layer:
    """Leaky ReLU: x where x > 0, slope · x elsewhere.

    slope   of the negative side, in [0, 1); 0 is relu.  At 0 the derivative is `slope`, as in torch
    Shapes: x (n, ...) -> the same.  The weights before it want init: he_normal; its variance is that of relu, too
    large here by the factor 1 + slope².
    Source: Maas et al. 2013, "Rectifier nonlinearities improve neural network acoustic models"; as
    torch.nn.LeakyReLU.
    """
    return stateless(lambda x: jnp.where(x > 0, x, slope * x))
