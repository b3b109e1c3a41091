"""Sums over many numbers of few bits, and products with one factor for all of them."""

from __future__ import annotations

import jax.numpy as jnp
from jax import Array

__all__ = ["divided", "times", "wide"]


def wide(x: Array) -> Array:
    """bfloat16 in float32, anything else as it is: for what is summed, or subtracted from its own mean.

    In bfloat16 1 + 1 + ... stops at 256.
    """
    return x.astype(jnp.float32) if x.dtype == jnp.bfloat16 else x


def times(x: Array, factor: Array) -> Array:
    """x · factor, rounded once: a factor () that was rounded to bfloat16 first would be off for all x alike."""
    return (wide(x) * factor.astype(wide(x).dtype)).astype(x.dtype)


def divided(x: Array, divisor: Array) -> Array:
    """x / divisor (), rounded once."""
    return (wide(x) / divisor.astype(wide(x).dtype)).astype(x.dtype)
