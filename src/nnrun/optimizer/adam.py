from __future__ import annotations

import jax.numpy as jnp
import optax

from nnrun.optimizer._elementwise import elementwise
from nnrun.options import Fraction, Positive, Rate

__all__ = ["adam"]


def adam(
    learning_rate: Rate = 1e-3,
    b1: Fraction = 0.9,
    b2: Fraction = 0.999,
    eps: Positive = 1e-8,
    bias_correction: bool = True,
) -> optax.GradientTransformation:
    """Adam: momentum, each coordinate scaled by its own recent gradients.

    m ← β₁m + (1 − β₁)g,  v ← β₂v + (1 − β₂)g²,  x ← x − α m̂ / (√v̂ + ε),  m̂ = m / (1 − β₁ᵗ), v̂ = v / (1 − β₂ᵗ)

    m and v start at 0, and m̂ and v̂ correct for that; after some 1 / (1 − β₂) steps it no longer matters.

    learning_rate     α ≥ 0
    b1, b2            β₁, β₂ in [0, 1): decay of the first and second moment
    eps               ε > 0: outside the root, as in the paper
    bias_correction   false: m̂ = m and v̂ = v, to see what the correction is for; the first step is then
                      (1 − β₁) / √(1 − β₂) times as long, 3.2 times by default
    State: 8 bytes a parameter (m, v).
    Lecture: RMSProp with momentum, a good default in most cases.
    optax and torch: the same.  The lecture's code has ε = 1e-7.
    Source: Kingma & Ba 2015, Algorithm 1.
    """

    def rule(g, t, m, v):
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g**2
        m_hat, v_hat = (m / (1 - b1**t), v / (1 - b2**t)) if bias_correction else (m, v)
        return -learning_rate * m_hat / (jnp.sqrt(v_hat) + eps), {"m": m, "v": v}

    return elementwise(rule, m=0.0, v=0.0)
