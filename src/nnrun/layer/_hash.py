"""A generator that is nearly free: a 32-bit hash of (key, position), for noise only.

Threefry, the generator behind `jax.random`, is a cipher of 20 rounds; the noise of a regularizer needs no
cipher.  A word here costs 5 multiplications, and every position has its own, so that a mask fuses with the
product that it masks.  What noise needs is tested in tests/layer/test_noise.py for both generators alike:
balanced bits, no correlation between bits, positions, steps or keys, avalanche.

`FAST` is an implementation for `jax.random`: a key of it works with `fold_in`, `split`, `bernoulli`, `normal`
and all the others.  It is used from `train.random: fast` on; initial weights are drawn with Threefry always.
"""

from __future__ import annotations

import math

import jax.numpy as jnp
from jax import Array, lax
from jax.extend.random import define_prng_impl

__all__ = ["FAST", "words"]

_CHILD = (0x9E3779B9, 0x7F4A7C15)  # apart from the words of noise, keys come from another key: golden ratio


def words(key: Array, positions: Array) -> Array:
    """A random uint32 for each position: uint32 (2,), uint32 (...) -> uint32 (...).

    a, b, c from the key:  h ← mix(position · (a | 1) + b),  word ← mix(h ⊕ c).  c depends on all of the key, so
    that no key's words are another's, shifted, as they would be if two keys differed in b alone.
    """
    b = _mix(key[1] + _mix(key[0] ^ jnp.uint32(0x9E3779B9)))
    a = _mix(key[0] + b)
    c = _mix(a + _mix(b))
    a, b, c = (word.reshape((1,) * positions.ndim) for word in (a | jnp.uint32(1), b, c))
    return _mix(_mix(positions * a + b) ^ c)


def _mix(h: Array) -> Array:
    """A bijection of 32 bits in which every bit of h moves each bit of the result with probability ½.

    The form is that of the finalizer of MurmurHash3 (A. Appleby); shifts and multipliers are the best known of
    that form, found by search.  Source: C. Wellons 2018, "Prospecting for hash functions", and its repository.
    """
    h = h ^ (h >> jnp.uint32(16))
    h = h * jnp.uint32(0x21F0AAAD)
    h = h ^ (h >> jnp.uint32(15))
    h = h * jnp.uint32(0x735A2D97)
    return h ^ (h >> jnp.uint32(15))


def _child(key: Array) -> Array:
    """The key from which other keys are made: its words are never noise."""
    return key ^ jnp.array(_CHILD, jnp.uint32)


def _seed(seed: Array) -> Array:
    # jax gives a seed in 32 bits or 64
    low = lax.convert_element_type(seed, jnp.uint32)
    high = lax.convert_element_type(lax.shift_right_logical(seed, seed.dtype.type(31)), jnp.uint32)
    return words(jnp.stack([high >> jnp.uint32(1), low]), jnp.arange(2, dtype=jnp.uint32))


def _split(key: Array, shape: tuple[int, ...]) -> Array:
    count = math.prod(shape)
    return words(_child(key), lax.iota(jnp.uint32, 2 * count)).reshape(*shape, 2)


def _fold_in(key: Array, data: Array | int) -> Array:
    mixed = _mix(jnp.asarray(data).astype(jnp.uint32) + jnp.uint32(_CHILD[0]))
    return words(_child(key), jnp.stack([mixed, ~mixed]))


def _random_bits(key: Array, bit_width: int, shape: tuple[int, ...]) -> Array:
    positions = lax.iota(jnp.uint32, math.prod(shape)).reshape(shape)
    if bit_width == 64:
        high, low = (words(k, positions).astype(jnp.uint64) for k in _split(key, (2,)))
        return high << jnp.uint64(32) | low
    hashed = words(key, positions)
    return hashed if bit_width == 32 else (hashed >> jnp.uint32(32 - bit_width)).astype(f"uint{bit_width}")


FAST = define_prng_impl(
    key_shape=(2,),
    seed=_seed,
    split=_split,
    random_bits=_random_bits,
    fold_in=_fold_in,
    name="nnrun_fast",
    tag="fast",
)
