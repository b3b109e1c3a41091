from __future__ import annotations

import jax.numpy as jnp
import optax

from nnrun.optimizer._elementwise import elementwise
from nnrun.options import Fraction, Positive, Rate

__all__ = ["amsgrad"]


def amsgrad(
    learning_rate: Rate = 1e-3, b1: Fraction = 0.9, b2: Fraction = 0.999, eps: Positive = 1e-8
) -> optax.GradientTransformation:
    """AMSGrad: Adam with a second moment that never falls, so rare large gradients still count.

    m ← β₁m + (1 − β₁)g,  v ← β₂v + (1 − β₂)g²,  w ← max(w, v)
    x ← x − α m̂ / (√ŵ + ε),  m̂ = m / (1 − β₁ᵗ), ŵ = w / (1 − β₂ᵗ)

    learning_rate   α ≥ 0
    b1, b2          β₁, β₂ in [0, 1): decay of the first and second moment
    eps             ε > 0: outside the root
    State: 12 bytes a parameter (m, v, w).
    Use: when Adam does not settle because informative gradients are rare.
    torch (Adam with amsgrad): the same.  optax takes the maximum of v / (1 − β₂ᵗ), the corrected moment,
    which is larger early on where gradients shrink.  The paper corrects nothing.
    Source: Reddi, Kale & Kumar 2018, Algorithm 2, with Adam's corrections.
    """

    def rule(g, t, m, v, w):
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g**2
        w = jnp.maximum(w, v)
        m_hat, w_hat = m / (1 - b1**t), w / (1 - b2**t)
        return -learning_rate * m_hat / (jnp.sqrt(w_hat) + eps), {"m": m, "v": v, "w": w}

    return elementwise(rule, m=0.0, v=0.0, w=0.0)
