from __future__ import annotations

import optax

from nnrun.optimizer._common import decoupled_weight_decay
from nnrun.optimizer._elementwise import rounded_once
from nnrun.optimizer.adam import adam
from nnrun.options import Fraction, Patterns, Positive, Rate, is_off

__all__ = ["adamw"]


def adamw(
    learning_rate: Rate = 1e-3,
    b1: Fraction = 0.9,
    b2: Fraction = 0.999,
    eps: Positive = 1e-8,
    weight_decay: Rate = 0.01,
    decay_only: Patterns | None = None,
) -> optax.GradientTransformation:
    """AdamW: Adam, and each step shrinks the weights by a fraction of their own.

    x ← x − α (m̂ / (√v̂ + ε) + λx),  m̂ and v̂ those of Adam, which see nothing of λx

    It is `adam` with the key `weight_decay` that every optimizer has, on by default.

    learning_rate   α ≥ 0
    b1, b2          β₁, β₂ in [0, 1): decay of the first and second moment
    eps             ε > 0: outside the root
    weight_decay    λ ≥ 0, for weights, not for biases and scales of normalisation
    decay_only      patterns of the names of the parameters that decay instead, such as ['*/kernel']
    State: 8 bytes a parameter (m, v).
    Use: in place of Adam when the test error matters and weights should stay small.
    optax and torch: the same on what decays, but there biases and scales decay as well unless one masks
    them; λ is 1e-4 in optax.  torch's Adam(weight_decay=λ) adds λx to the gradient: the penalty l2 here.
    The paper scales λx by the schedule alone, not by α.
    Source: Loshchilov & Hutter 2019, Algorithm 2, with λ scaled by α as in torch.
    """
    step = adam(learning_rate, b1, b2, eps)
    if is_off(weight_decay):
        return step
    return rounded_once(optax.chain(step, decoupled_weight_decay(learning_rate, weight_decay, decay_only)))
