from __future__ import annotations

import jax.numpy as jnp
import optax

from nnrun.optimizer._elementwise import elementwise
from nnrun.options import Positive, Rate

__all__ = ["adagrad"]


def adagrad(
    learning_rate: Rate = 0.01,
    eps: Positive = 1e-7,
    initial_accumulator: Rate = 0.0,
    eps_in_root: bool = False,
) -> optax.GradientTransformation:
    """AdaGrad: each coordinate scaled by all of its past gradients.

    s ← s + g²,  x ← x − αg / (√s + ε)

    learning_rate         α ≥ 0
    eps                   ε > 0
    initial_accumulator   s ≥ 0 before the first step
    eps_in_root           whether √(s + ε) takes the place of √s + ε
    State: 4 bytes a parameter (s).
    Lecture: evens out steep and flat directions, but s only grows, so the steps die away.
    optax: s from 0.1 and ε inside the root.  torch: ε is 1e-10.
    Source: Duchi, Hazan & Singer 2011; s from 0 and ε as in the lecture.
    """

    def rule(g, t, s):
        del t
        s = s + g**2
        root = jnp.sqrt(s + eps) if eps_in_root else jnp.sqrt(s) + eps
        return -learning_rate * g / root, {"s": s}

    return elementwise(rule, s=initial_accumulator)
