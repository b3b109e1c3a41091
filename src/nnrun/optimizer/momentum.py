from __future__ import annotations

import optax

from nnrun.optimizer._elementwise import elementwise
from nnrun.options import Fraction, Rate

__all__ = ["momentum"]


def momentum(learning_rate: Rate = 0.01, momentum: Fraction = 0.9) -> optax.GradientTransformation:
    """Momentum: a ball that rolls down the loss, v ← ρv + g, x ← x − αv.

    learning_rate   α ≥ 0
    momentum        ρ in [0, 1): how much of the velocity a step keeps
    A steady gradient g ends in steps of α/(1 − ρ) · g: ten times those of SGD for ρ = 0.9.
    State: 4 bytes a parameter (v).
    Lecture: picks up speed along flat directions; ρ is 0.5, 0.9 or 0.99, or rises during training.
    optax and torch (SGD with momentum): the same.  The lecture has α inside the velocity, v ← ρv − αg,
    x ← x + v: the same path as long as α does not change.
    Source: Polyak 1964; Sutskever et al. 2013 for the form with α inside.
    """

    def rule(g, t, v):
        del t
        v = momentum * v + g
        return -learning_rate * v, {"v": v}

    return elementwise(rule, v=0.0)
