"""The orders of `order`, made on the device: the same numbers, of thousands of nets at once.

On a GPU the step of 256 small nets takes a third of a millisecond; their orders keep a processor busy for longer.
"""

from __future__ import annotations

from collections import OrderedDict
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from nnrun.training.order import PADDING, SAMPLE

__all__ = ["DeviceOrders", "OrderShape"]

# Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3": Philox 4×64 with ten rounds.
_ROUNDS = 10
_MULTIPLIERS = 0xD2E7470EE14C6C93, 0xCA5A826395121157
_WEYL = 0x9E3779B97F4A7C15, 0xBB67AE8584CAA73B
_LOW = 0xFFFFFFFF


class OrderShape(NamedTuple):
    """What the program of the orders depends on."""

    examples: int
    batch_size: int
    length: int  # steps that are handed over at a time
    bootstrap: bool

    @property
    def per_epoch(self) -> int:
        """Steps of an epoch."""
        return -(-self.examples // self.batch_size)

    @property
    def epochs(self) -> int:
        """Epochs, at most, that `length` steps lie in."""
        return (self.length - 1) // self.per_epoch + 2


class DeviceOrders:
    """The positions of successive steps of all seeds of a population, as `order.positions_of_all` has them.

    seeds   of each lane; of a run alone, one
    The orders of the epochs in use are kept on the device.
    """

    def __init__(self, seeds: tuple[int, ...], shape: OrderShape) -> None:
        self.shape = shape
        self._seeds = np.array(seeds, np.uint64)
        self._epochs: OrderedDict[int, Array] = OrderedDict()

    def positions(self, first: int, count: int) -> Array:
        """int32 (seeds, length, batch_size) of the steps first .. first + count − 1, `PADDING` from count on."""
        shape = self.shape
        begin = first // shape.per_epoch
        end = (first + count - 1) // shape.per_epoch
        epochs = [self._order(min(begin + i, end)) for i in range(shape.epochs)]
        return _cut(shape, epochs, np.int32(first - begin * shape.per_epoch), np.int32(count))

    def _order(self, epoch: int) -> Array:
        if epoch not in self._epochs:
            with jax.enable_x64(True):  # for words of 64 bits; what comes back are 32
                self._epochs[epoch] = _order_of_epoch(self.shape, self._seeds, np.uint64(epoch))
            while len(self._epochs) > self.shape.epochs:
                self._epochs.popitem(last=False)
        return self._epochs[epoch]


@partial(jax.jit, static_argnums=0)
def _order_of_epoch(shape: OrderShape, seeds: Array, epoch: Array) -> Array:
    """All batches of one epoch, (seeds, steps, batch_size)."""
    examples = shape.examples

    def of_seed(seed: Array) -> Array:
        numbers = jnp.arange(examples, dtype=jnp.int32)
        _, ranked = jax.lax.sort((_words(seed, epoch, examples), numbers), num_keys=1, is_stable=True)
        if not shape.bootstrap:
            return ranked
        words = _words(seed, jnp.uint64(SAMPLE), examples)
        return (words % jnp.uint64(examples)).astype(jnp.int32)[ranked]

    orders = jax.vmap(of_seed)(seeds)
    short = shape.per_epoch * shape.batch_size - examples
    filled = jnp.pad(orders, [(0, 0), (0, short)], constant_values=PADDING)
    return filled.reshape(len(seeds), shape.per_epoch, shape.batch_size)


@partial(jax.jit, static_argnums=0)
def _cut(shape: OrderShape, epochs: list[Array], first: Array, count: Array) -> Array:
    """`length` steps from the step `first` of the first of these epochs on, of which `count` are wanted."""
    steps = jnp.concatenate(epochs, axis=1)
    cut = jax.lax.dynamic_slice_in_dim(steps, first, shape.length, axis=1)
    wanted = jnp.arange(shape.length)[None, :, None] < count
    return jnp.where(wanted, cut, PADDING)


def _words(seed: Array, epoch: Array, count: int) -> Array:
    """(count,) uint64: the first words of the stream of Philox whose key is (seed, epoch), as NumPy has them.

    NumPy counts before it draws, so the first four words are those of the counter 1.
    """
    blocks = -(-count // 4)
    zero = jnp.zeros(blocks, jnp.uint64)
    counter = [jnp.arange(1, blocks + 1, dtype=jnp.uint64), zero, zero, zero]
    key = [seed, epoch]
    for _ in range(_ROUNDS):
        high_0, low_0 = _product(jnp.uint64(_MULTIPLIERS[0]), counter[0])
        high_1, low_1 = _product(jnp.uint64(_MULTIPLIERS[1]), counter[2])
        counter = [high_1 ^ counter[1] ^ key[0], low_1, high_0 ^ counter[3] ^ key[1], low_0]
        key = [part + jnp.uint64(weyl) for part, weyl in zip(key, _WEYL, strict=True)]
    return jnp.stack(counter, axis=1).reshape(-1)[:count]


def _product(a: Array, b: Array) -> tuple[Array, Array]:
    """a · b of 64 bits each in 128 bits: the high and the low half."""
    low, half = jnp.uint64(_LOW), jnp.uint64(32)
    a_high, a_low, b_high, b_low = a >> half, a & low, b >> half, b & low
    middle = (a_low * b_low >> half) + a_high * b_low  # < 2⁶⁴
    other = (middle & low) + a_low * b_high
    return a_high * b_high + (middle >> half) + (other >> half), a * b
