"""The turn of each example: a number of its own that grows by 1 each time an epoch begins."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

__all__ = ["turns"]


def turns(key: Array, x: Array, epoch: Array) -> Array:
    """A random word for each example, plus the epoch: (n,) uint32.

    The word is drawn from the run's key and the example's content, so it is the same at every visit, wherever the
    example lies and however the data are read; equal examples have equal words.

    key     () typed key
    x       (n, ...) as stored
    epoch   () int, counted from 0
    """
    prints = _prints(x)
    words = jax.vmap(lambda number: jax.random.bits(jax.random.fold_in(key, number), dtype=jnp.uint32))(
        prints
    )
    return words + epoch.astype(jnp.uint32)


def _prints(x: Array) -> Array:
    """A fingerprint of each example (n,) uint32: its words, mixed, times random odd numbers, summed modulo 2³²."""
    rows = x.reshape(x.shape[0], -1)
    if jnp.issubdtype(rows.dtype, jnp.floating):
        rows = lax.bitcast_convert_type(rows, jnp.uint32).reshape(x.shape[0], -1)
    factors = np.random.Philox(key=0).random_raw(rows.shape[1]).astype(np.uint32) | np.uint32(1)
    return (_mixed(rows.astype(jnp.uint32)) * jnp.asarray(factors)[None]).sum(1, dtype=jnp.uint32)


def _mixed(words: Array) -> Array:
    """Words of which all bits depend on the high ones: round floats have zeros at the end."""
    words = (words ^ words >> jnp.uint32(16)) * jnp.uint32(0x85EBCA6B)
    words = (words ^ words >> jnp.uint32(13)) * jnp.uint32(0xC2B2AE35)
    return words ^ words >> jnp.uint32(16)
