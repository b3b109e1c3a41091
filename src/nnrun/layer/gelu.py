from __future__ import annotations

import jax

from nnrun.layer._compose import stateless
from nnrun.types import Layer

__all__ = ["gelu"]


def gelu() -> Layer:
    """GELU: x Φ(x), Φ the standard normal distribution function (Hendrycks & Gimpel 2016)."""
    return stateless(lambda x: jax.nn.gelu(x, approximate=False))
