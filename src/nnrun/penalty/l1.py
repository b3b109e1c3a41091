from __future__ import annotations

from collections.abc import Callable

import jax.numpy as jnp
from jax import Array

from nnrun.options import Rate
from nnrun.penalty._weights import weights
from nnrun.types import Tree

__all__ = ["l1"]


def l1(strength: Rate = 1e-5) -> Callable[[Tree], Array]:
    """L1: the sum of the weights' absolute values, which drives small ones to 0.

    strength · Σ |w|; its gradient is strength · sign(w), 0 where w is 0.

    strength   λ ≥ 0, per example of the mean loss; biases and the scales of normalisation are left out
    Source: Tibshirani 1996.
    """

    def penalty(params):
        # w · sign(w) is |w| with the derivative 0 at 0, where jnp.abs has 1: a weight at 0 stays there.
        return strength * sum(((w * jnp.sign(w)).sum() for w in weights(params)), jnp.zeros(()))

    return penalty
