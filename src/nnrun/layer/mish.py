from __future__ import annotations

import jax

from nnrun.layer._compose import stateless
from nnrun.types import Layer

__all__ = ["mish"]


def mish() -> Layer:
    """Mish: x tanh(log(1 + eˣ)).

    Shapes: x (n, ...) -> the same, at least −0.309 (at x = −1.192).  The weights before it want init: he_normal.
    Source: Misra 2020, "Mish: a self regularized non-monotonic activation function"; as torch.nn.Mish.
    """
    return stateless(jax.nn.mish)
