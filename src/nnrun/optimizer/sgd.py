from __future__ import annotations

import optax

from nnrun.optimizer._elementwise import elementwise
from nnrun.options import Rate

__all__ = ["sgd"]


def sgd(learning_rate: Rate = 0.01) -> optax.GradientTransformation:
    """SGD: a step down the gradient, x ← x − αg.

    learning_rate   α ≥ 0
    State: 0 bytes a parameter.
    Lecture: jitters along steep directions and creeps along flat ones.
    optax and torch: the same.
    Source: Robbins & Monro 1951.
    """

    def rule(g, t):
        del t
        return -learning_rate * g, {}

    return elementwise(rule)
