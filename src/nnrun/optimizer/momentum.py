from __future__ import annotations

import optax

from nnrun.optimizer._elementwise import elementwise
from nnrun.options import Fraction, Rate

__all__ = ["momentum"]


def momentum(learning_rate: Rate = 0.01, momentum: Fraction = 0.9) -> optax.GradientTransformation:
    """Momentum: a ball that rolls down the loss, v ← ρv + g, x ← x − αv.

    learning_rate   α ≥ 0
    momentum        ρ in [0, 1): how much of the velocity a step keeps
    Source: Polyak 1964; Sutskever et al. 2013 scale the velocity by α instead: v ← ρv − αg, x ← x + v, which
    is the same path as long as α does not change.
    """

    def rule(g, t, v):
        del t
        v = momentum * v + g
        return -learning_rate * v, {"v": v}

    return elementwise(rule, v=0.0)
