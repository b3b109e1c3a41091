from __future__ import annotations

import jax.numpy as jnp
import optax

from nnrun.optimizer._elementwise import elementwise
from nnrun.options import Fraction, Positive, Rate

__all__ = ["adamax"]


def adamax(
    learning_rate: Rate = 2e-3, b1: Fraction = 0.9, b2: Fraction = 0.999, eps: Positive = 1e-8
) -> optax.GradientTransformation:
    """AdaMax: Adam with the largest recent gradient in place of the root mean square.

    m ← β₁m + (1 − β₁)g,  u ← max(β₂u, |g| + ε),  x ← x − α m̂ / u,  m̂ = m / (1 − β₁ᵗ)

    u starts at 0 and needs no correction; no step is longer than about α.

    learning_rate   α ≥ 0
    b1, b2          β₁, β₂ in [0, 1): decay of the first moment and of the maximum
    eps             ε > 0: keeps the division finite where all gradients were 0; the paper has none
    State: 8 bytes a parameter (m, u).
    Use: when gradients are sparse or have outliers, as with embeddings.
    optax and torch: the same.
    Source: Kingma & Ba 2015, Algorithm 2.
    """

    def rule(g, t, m, u):
        m = b1 * m + (1 - b1) * g
        u = jnp.maximum(b2 * u, jnp.abs(g) + eps)
        m_hat = m / (1 - b1**t)
        return -learning_rate * m_hat / u, {"m": m, "u": u}

    return elementwise(rule, m=0.0, u=0.0)
