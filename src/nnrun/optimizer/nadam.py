from __future__ import annotations

import jax.numpy as jnp
import optax

from nnrun.optimizer._elementwise import Single, elementwise
from nnrun.options import Fraction, Positive, Rate

__all__ = ["nadam"]


def nadam(
    learning_rate: Rate = 2e-3,
    b1: Fraction = 0.9,
    b2: Fraction = 0.999,
    eps: Positive = 1e-8,
    momentum_decay: Rate = 4e-3,
) -> optax.GradientTransformation:
    """Nadam: Adam with Nesterov momentum, which grows slowly from half its size.

    μₜ = β₁(1 − ½ · 0.96^(ψt)),  m ← β₁m + (1 − β₁)g,  v ← β₂v + (1 − β₂)g²
    m̂ = μₜ₊₁ m / (1 − μ₁⋯μₜ₊₁) + (1 − μₜ) g / (1 − μ₁⋯μₜ),  v̂ = v / (1 − β₂ᵗ),  x ← x − α m̂ / (√v̂ + ε)

    learning_rate    α ≥ 0
    b1, b2           β₁, β₂ in [0, 1): decay of the first and second moment
    eps              ε > 0: outside the root
    momentum_decay   ψ ≥ 0: how fast μ grows from β₁/2 to β₁, with 4e-3 to 0.9 β₁ in 10 000 steps; with 1e6 it is
                     β₁ at once
    State: 8 bytes a parameter (m, v); the product of the μ is one number for each array.
    Use: in place of Adam, when its first steps overshoot and one more option is no burden.
    torch: the same.  optax has no ψ, its μ is β₁ from the start: momentum_decay = 1e6.  Dozat has μₜ in the
    place of β₁ in m as well.
    Source: Dozat 2016, "Incorporating Nesterov momentum into Adam", with the schedule of μ proposed there.
    """

    def mu(t):
        return b1 * (1 - 0.5 * 0.96 ** (momentum_decay * t))

    def rule(g, t, m, v, product):
        product = product * mu(t)
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g**2
        m_hat = mu(t + 1) * m / (1 - product * mu(t + 1)) + (1 - mu(t)) * g / (1 - product)
        v_hat = v / (1 - b2**t)
        return -learning_rate * m_hat / (jnp.sqrt(v_hat) + eps), {"m": m, "v": v, "product": product}

    return elementwise(rule, m=0.0, v=0.0, product=Single(1.0))
