"""Random masks that cost next to nothing, from either generator of keys.

Threefry is the generator behind `jax.random`.  Two things make it cheap here: a mask needs far fewer than 32
bits a unit, so each block of the cipher (64 bits) serves four units; and the rounds are written out, so that
XLA's CPU backend fuses them with the mask instead of running them as a loop (together: a small net's step
with dropout takes 1.2 times the step without, against 2.1 times with `jax.random.bernoulli`).  Keys of the
hash (`train.random: fast`) give a word of their own to each unit.

Where several devices share a batch, the four units of a block lie on different devices.  Sending them would take as
much as the gradient does, so a key of `IN_PLACE` has each unit computed where it is: the same bits, at four times
the cipher's work, divided by the devices.
"""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.extend.random import define_prng_impl, threefry_prng_impl

from nnrun.layer._hash import FAST, words

__all__ = ["GENERATORS", "IN_PLACE", "drop_mask", "keep_probability", "noise_key", "threefry"]

GENERATORS = {"threefry": None, "fast": FAST}  # of `train.random`; None: the key is one already
IN_PLACE = define_prng_impl(
    key_shape=threefry_prng_impl.key_shape,
    seed=threefry_prng_impl.seed,
    split=threefry_prng_impl.split,
    random_bits=threefry_prng_impl.random_bits,
    fold_in=threefry_prng_impl.fold_in,
    name="nnrun_threefry_in_place",
    tag="inplace",
)

_ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))


def threefry(key: Array, x: Array, y: Array) -> tuple[Array, Array]:
    """Threefry-2x32 with 20 rounds of the counter words x, y: uint32 arrays of one shape; key uint32 (2,).

    Source: Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3".
    """
    k0, k1 = key[0], key[1]
    schedule = (k0, k1, k0 ^ k1 ^ jnp.uint32(0x1BD11BDA))
    x, y = x + schedule[0], y + schedule[1]
    for i in range(5):
        for r in _ROTATIONS[i % 2]:
            x = x + y
            y = x ^ (y << jnp.uint32(r) | y >> jnp.uint32(32 - r))
        x, y = x + schedule[(i + 1) % 3], y + schedule[(i + 2) % 3] + jnp.uint32(i + 1)
    return x, y


def noise_key(key: Array, generator: str, shared: bool = False) -> Array:
    """The key () of the run as a key of the generator that noise is drawn from.

    shared  whether several devices share each batch; the bits are the same
    """
    implementation = GENERATORS[generator] or (IN_PLACE if shared else None)
    if implementation is None:
        return key
    return jax.random.wrap_key_data(jax.random.key_data(key), impl=implementation)


def drop_mask(key: Array, shape: tuple[int, ...], rate: Array | float) -> tuple[Array, Array]:
    """Which units to keep, and the exact probability of keeping one.

    A unit is dropped with probability round(65536·rate)/65536, so the rate is met to 8e-6; the keep
    probability that is returned is the exact one.

    key    () typed key
    shape  of the mask
    rate   in [0, 1)
    Returns bool (*shape), float ().
    """
    return _units(key, shape) >= _threshold(rate).astype(jnp.uint16), keep_probability(rate)


def keep_probability(rate: Array | float) -> Array:
    """The exact probability with which `drop_mask` keeps a unit, () float."""
    return 1 - _threshold(rate) / 65536


def _threshold(rate: Array | float) -> Array:
    """How many of the 65536 values of a unit drop it."""
    return jnp.minimum(jnp.round(jnp.asarray(rate, float) * 65536), 65535)


def _units(key: Array, shape: tuple[int, ...]) -> Array:
    """Random uint16 numbers."""
    size = math.prod(shape)
    data = jax.random.key_data(key)
    if jax.random.key_impl(key) == FAST:
        return (words(data, lax.iota(jnp.uint32, size).reshape(shape)) >> jnp.uint32(16)).astype(jnp.uint16)
    blocks = -(-size // 4)
    if jax.random.key_impl(key) == IN_PLACE:
        return _unit_at(data, lax.iota(jnp.uint32, size).reshape(shape), blocks)
    counters = lax.iota(jnp.uint32, 2 * blocks)
    blocks_of_words = jnp.stack(threefry(data, counters[:blocks], counters[blocks:]))
    return lax.bitcast_convert_type(blocks_of_words, jnp.uint16).reshape(-1)[:size].reshape(shape)


def _unit_at(key: Array, positions: Array, blocks: int) -> Array:
    """The units at these positions: the first words of all blocks hold the first half of them, two units a word."""
    pair, is_high = positions // 2, positions % 2
    block = pair % blocks
    first, second = threefry(key, block, block + jnp.uint32(blocks))
    word = jnp.where(pair < blocks, first, second)
    return jnp.where(is_high == 1, word >> jnp.uint32(16), word & jnp.uint32(0xFFFF)).astype(jnp.uint16)
