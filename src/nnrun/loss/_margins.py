"""What the losses of a support vector machine share."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import Array

from nnrun.loss._classification import at_target

__all__ = ["shortfalls"]


def shortfalls(outputs: Array, targets: Array, margin: Array | float) -> Array:
    """(n, classes), (n,) -> (n, classes): max(0, zⱼ − z_y + margin) for each class j but the target y, and 0 for y.

    Where a shortfall begins its derivative is 0, as in torch.
    """
    wrong = jnp.arange(outputs.shape[1], dtype=targets.dtype)[None, :] != targets[:, None]
    return jnp.where(wrong, jax.nn.relu(outputs - at_target(outputs, targets) + margin), 0)
