from __future__ import annotations

import jax

from nnrun.layer._compose import stateless
from nnrun.types import Layer

__all__ = ["sigmoid"]


def sigmoid() -> Layer:
    """Sigmoid: 1 / (1 + e⁻ˣ), in (0, 1).

    Shapes: x (n, ...) -> the same.  Its slope is at most 1/4, so deep nets of it learn slowly; the weights before it
    want init: glorot_normal.
    Source: the course's notes on activation functions; as torch.nn.Sigmoid.
    """
    return stateless(jax.nn.sigmoid)
