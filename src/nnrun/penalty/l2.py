from __future__ import annotations

from collections.abc import Callable

import jax.numpy as jnp
from jax import Array

from nnrun.options import Rate
from nnrun.penalty._weights import weights
from nnrun.types import Tree

__all__ = ["l2"]


def l2(strength: Rate = 1e-4) -> Callable[[Tree], Array]:
    """L2: half the squared norm of the weights, which pulls each towards 0.

    strength · ½ Σ w², so its gradient is strength · w: for SGD the same as weight decay, for Adam not, because
    the gradient is then divided by its own size (see `weight_decay` of an optimizer).

    strength   λ ≥ 0, per example of the mean loss; biases and the scales of normalisation are left out
    Source: Hoerl & Kennard 1970; Loshchilov & Hutter 2019 for the difference from weight decay.
    """

    def penalty(params):
        return strength / 2 * sum((jnp.square(w).sum() for w in weights(params)), jnp.zeros(()))

    return penalty
