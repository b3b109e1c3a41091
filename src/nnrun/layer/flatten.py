from __future__ import annotations

import math

from nnrun.layer._compose import stateless
from nnrun.types import Layer

__all__ = ["flatten"]


def flatten() -> Layer:
    """Flatten: an image becomes a vector.  Shapes: x (n, ...) -> y (n, product of the rest)."""
    return stateless(lambda x: x.reshape(x.shape[0], -1), lambda x_shape: (math.prod(x_shape),))
