from __future__ import annotations

import jax.numpy as jnp

from nnrun.layer._compose import stateless
from nnrun.types import Layer

__all__ = ["tanh"]


def tanh() -> Layer:
    """Hyperbolic tangent: (eˣ − e⁻ˣ) / (eˣ + e⁻ˣ), in (−1, 1)."""
    return stateless(jnp.tanh)
