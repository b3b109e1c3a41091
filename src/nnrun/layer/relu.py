from __future__ import annotations

import jax

from nnrun.layer._compose import stateless
from nnrun.types import Layer

__all__ = ["relu"]


def relu() -> Layer:
    """ReLU: max(0, x)."""
    return stateless(jax.nn.relu)
