from __future__ import annotations

import jax

from nnrun.layer._compose import stateless
from nnrun.types import Layer

__all__ = ["silu"]


def silu() -> Layer:
    """SiLU, also called swish: x / (1 + e⁻ˣ).

    Shapes: x (n, ...) -> the same, at least −0.279 (at x = −1.278).  The weights before it want init: he_normal.
    Source: Hendrycks & Gimpel 2016; Ramachandran et al. 2017, "Searching for activation functions"; as torch.nn.SiLU.
    """
    return stateless(jax.nn.silu)
