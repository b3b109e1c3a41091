from __future__ import annotations

import jax.numpy as jnp

from nnrun.layer._compose import stateless
from nnrun.options import Positive
from nnrun.types import Layer

__all__ = ["elu"]


def elu(alpha: Positive = 1.0) -> Layer:
    """ELU: x where x > 0, alpha (eˣ − 1) elsewhere.

    alpha   −alpha is the limit for x → −∞; at 1 the derivative has no step at 0
    Shapes: x (n, ...) -> the same, in (−alpha, ∞).  The weights before it want init: he_normal.
    Source: Clevert et al. 2016, "Fast and accurate deep network learning by exponential linear units"; as
    torch.nn.ELU.
    """
    return stateless(lambda x: jnp.where(x > 0, x, alpha * jnp.expm1(jnp.where(x > 0, 0, x))))
