from __future__ import annotations

import jax
import jax.numpy as jnp

from nnrun.loss._classification import at_target, classification_loss
from nnrun.options import Rate, is_off
from nnrun.types import Loss

__all__ = ["focal"]


def focal(gamma: Rate = 2.0) -> Loss:
    """Focal loss: cross-entropy in which examples that are already right count less.

    L = −(1 − p_y)^gamma log p_y,  p = softmax(z)

    gamma   in [0, ∞): 0 is cross_entropy, 2 the paper's choice
    Its probabilities are less sure than they should be, for the minimum is not at the true ones: calibrate them, or
    look at the accuracy alone.  It is not convex in the outputs.
    Metrics: `loss`, `accuracy`.
    Shapes: outputs z (n, classes), targets (n,) int -> (n,), in [0, ∞).
    Source: Lin et al. 2017, "Focal loss for dense object detection", equation 4, there with a sigmoid; with two
    classes this is that of z₁ − z₀.
    """

    def value(outputs, targets):
        log_p = at_target(jax.nn.log_softmax(outputs), targets)[:, 0]
        if is_off(gamma):
            return -log_p
        # The logarithm of 1 − p from the other classes: 1 − p itself is rounded to 0, and has no slope there.
        classes = jnp.arange(outputs.shape[1], dtype=targets.dtype)[None, :]
        others = jnp.where(classes == targets[:, None], -jnp.inf, outputs)
        log_rest = jax.nn.logsumexp(others, axis=1) - jax.nn.logsumexp(outputs, axis=1)
        return -jnp.exp(gamma * log_rest) * log_p

    return classification_loss(value)
