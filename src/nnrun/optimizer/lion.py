from __future__ import annotations

import jax.numpy as jnp
import optax

from nnrun.optimizer._elementwise import elementwise
from nnrun.options import Fraction, Rate

__all__ = ["lion"]


def lion(learning_rate: Rate = 1e-4, b1: Fraction = 0.9, b2: Fraction = 0.99) -> optax.GradientTransformation:
    """Lion: the sign of a momentum, so that every coordinate moves by the same amount.

    x ← x − α sign(β₁m + (1 − β₁)g),  m ← β₂m + (1 − β₂)g

    learning_rate   α ≥ 0: the length of the step in each coordinate, a third to a tenth of Adam's
    b1              β₁ in [0, 1): how much of the momentum counts in the sign
    b2              β₂ in [0, 1): how much of the momentum is kept
    State: 4 bytes a parameter (m).
    Use: with large batches and a falling rate; its steps do not shrink by themselves near a minimum.
    optax: the same, but with a weight decay of 1e-3 unless it is changed, where nnrun's key weight_decay is 0
    (the paper takes three to ten times Adam's).  torch has none.
    Source: Chen et al. 2023, "Symbolic discovery of optimization algorithms", Algorithm 2.
    """

    def rule(g, t, m):
        del t
        direction = jnp.sign(b1 * m + (1 - b1) * g)
        return -learning_rate * direction, {"m": b2 * m + (1 - b2) * g}

    return elementwise(rule, m=0.0)
