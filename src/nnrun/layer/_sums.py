"""Sums over many numbers of few bits."""

from __future__ import annotations

import jax.numpy as jnp
from jax import Array

__all__ = ["wide"]


def wide(x: Array) -> Array:
    """x in float32 where it has fewer bits, else as it is: what is summed, or subtracted from its own mean.

    Of 1 + 1 + ... bfloat16 knows no more than 256.
    """
    return x.astype(jnp.promote_types(x.dtype, jnp.float32))
