"""What mixup and CutMix share: with whom an example is mixed, and how much stays its own."""

from __future__ import annotations

from typing import Literal

import jax
import jax.numpy as jnp
from jax import Array

from nnrun.types import Batch

__all__ = ["Per", "partners", "refuse_second", "shares", "spread"]

Per = Literal["batch", "example"]


def refuse_second(batch: Batch) -> None:
    """Raises ValueError where the examples are mixed already."""
    if batch.other is not None:
        raise ValueError("the examples are mixed already, and each with one other; keep one of mixup, cutmix")


def partners(key: Array, weight: Array) -> Array:
    """A random permutation of the examples among themselves; padding, at the end, is nobody's partner.

    weight  (n,) 1 for an example, 0 for padding
    Returns (n,) int.
    """
    return jnp.argsort(jnp.where(weight > 0, jax.random.uniform(key, weight.shape, weight.dtype), 2))


def shares(key: Array, alpha: Array | float, per: Per, like: Array) -> Array:
    """λ ~ Beta(α, α), one for the whole batch (1,) or one for each example (n,); 1 where α is 0.

    like   (n, ...) the examples, for their number and dtype
    """
    alpha = jnp.asarray(alpha, like.dtype)
    safe_alpha = jnp.where(alpha > 0, alpha, 1)  # a knob may be 0, where the distribution has no density
    number = 1 if per == "batch" else like.shape[0]
    return jnp.where(alpha > 0, jax.random.beta(key, safe_alpha, safe_alpha, (number,), like.dtype), 1)


def spread(a: Array, like: Array) -> Array:
    """a (1,) or (n,) -> (n,), one number for each of the examples `like` (n, ...)."""
    return jnp.broadcast_to(a, like.shape[:1])
