from __future__ import annotations

import jax.numpy as jnp
import optax

from nnrun.optimizer._elementwise import elementwise
from nnrun.options import Fraction, Positive, Rate

__all__ = ["adadelta"]


def adadelta(
    learning_rate: Rate = 1.0, rho: Fraction = 0.9, eps: Positive = 1e-6
) -> optax.GradientTransformation:
    """AdaDelta: steps as large as the recent steps were, so that no learning rate is needed.

    s ← ρs + (1 − ρ)g²,  u = √(d + ε) / √(s + ε) · g,  d ← ρd + (1 − ρ)u²,  x ← x − αu

    learning_rate   α ≥ 0: 1 in the paper, which has none
    rho             ρ in [0, 1): s and d look back about 1 / (1 − ρ) steps
    eps             ε > 0, inside both roots: the first steps are a few √ε long, and have to grow from there
    State: 8 bytes a parameter (s, d).
    Use: when there is no time to search for a learning rate; it starts slowly.
    optax and torch: the same.  The paper's experiments have ρ = 0.95.
    Source: Zeiler 2012, Algorithm 1.
    """

    def rule(g, t, s, d):
        del t
        s = rho * s + (1 - rho) * g**2
        u = jnp.sqrt(d + eps) / jnp.sqrt(s + eps) * g
        d = rho * d + (1 - rho) * u**2
        return -learning_rate * u, {"s": s, "d": d}

    return elementwise(rule, s=0.0, d=0.0)
