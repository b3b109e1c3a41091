"""Sums over many numbers of few bits."""

from __future__ import annotations

import jax.numpy as jnp
from jax import Array

__all__ = ["wide"]


def wide(x: Array) -> Array:
    """bfloat16 in float32, anything else as it is: for what is summed, or subtracted from its own mean.

    In bfloat16 1 + 1 + ... stops at 256.
    """
    return x.astype(jnp.float32) if x.dtype == jnp.bfloat16 else x
