from __future__ import annotations

import jax.numpy as jnp
import optax

from nnrun.optimizer._elementwise import elementwise
from nnrun.options import Fraction, Positive, Rate, is_off

__all__ = ["rmsprop"]


def rmsprop(
    learning_rate: Rate = 1e-3,
    decay: Fraction = 0.9,
    eps: Positive = 1e-7,
    momentum: Fraction = 0.0,
    centered: bool = False,
    eps_in_root: bool = False,
) -> optax.GradientTransformation:
    """RMSProp: each coordinate scaled by its recent gradients, an AdaGrad that forgets.

    s ← δs + (1 − δ)g²,  u = g / (√s + ε),  x ← x − αu
    If centered:     m ← δm + (1 − δ)g,  and the variance s − m² takes the place of s in u.
    With a momentum: b ← ρb + u,  x ← x − αb.

    learning_rate   α ≥ 0
    decay           δ in [0, 1): s looks back about 1 / (1 − δ) steps
    eps             ε > 0
    momentum        ρ in [0, 1)
    centered        whether the mean is taken off
    eps_in_root     whether √(s + ε) takes the place of √s + ε
    s starts at 0 and is not corrected for it, so the first step is α / √(1 − δ), 3α for δ = 0.9, in each
    coordinate.
    State: 4 bytes a parameter (s), and 4 each for m and b where they are wanted.
    Lecture: AdaGrad with a leak, whose steps do not die away.
    optax: ε is 1e-8 and inside the root, and the velocity holds α (b ← ρb − αu), another path where α
    changes.  torch: δ (alpha) is 0.99, ε is 1e-8.
    Source: Tieleman & Hinton 2012, lecture 6.5 of their course; Graves 2013 for centered; ε as in the lecture.
    """

    def rule(g, t, s, m=None, b=None):
        del t
        s = decay * s + (1 - decay) * g**2
        spread = s
        if m is not None:
            m = decay * m + (1 - decay) * g
            spread = jnp.maximum(s - m**2, 0)  # round-off can make it negative
        u = g / (jnp.sqrt(spread + eps) if eps_in_root else jnp.sqrt(spread) + eps)
        if b is not None:
            u = b = momentum * b + u
        return -learning_rate * u, {"s": s, "m": m, "b": b}

    buffers = {"s": True, "m": centered, "b": not is_off(momentum)}
    return elementwise(rule, **{name: 0.0 for name, is_wanted in buffers.items() if is_wanted})
