"""The order in which a run sees its examples: a pure function of (seed, epoch)."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from threading import Lock, local
from typing import Any, NamedTuple

import numpy as np

from nnrun import machine

__all__ = ["PADDING", "SAMPLE", "Classes", "positions", "positions_of_all", "sample"]

PADDING = -1  # fills up the last batch of an epoch
SAMPLE = 2**64 - 1  # in place of an epoch, which no run reaches: the key of bootstrap samples

_KEPT = 256 << 20  # bytes of orders that are remembered
_SHARE = 20_000  # words, about, that a thread sorts at a time: shorter work is spent on taking turns


class Classes:
    """The examples of each class, for epochs that draw every class equally often.

    labels   (n,) of the training part; classes without an example there are not drawn
    """

    def __init__(self, labels: np.ndarray) -> None:
        self.members = [np.flatnonzero(labels == label) for label in np.unique(labels)]

    def drawn(self, epoch: int, words: np.ndarray) -> np.ndarray:
        """(n,): n / K draws of each of the K classes, in the order of `words` (2, n).

        What is left of n / K goes to other classes in each epoch.  A class gives its examples one after another, in
        a new order: those of a frequent class once or not at all, those of a rare one several times.
        """
        count, rest = divmod(words.shape[1], len(self.members))
        draws = []
        for number, members in enumerate(self.members):
            extra = (number - epoch * rest) % len(self.members) < rest
            order = members[_ranked(words[0, members])]
            draws.append(np.resize(order, count + extra))
        return np.concatenate(draws)[_ranked(words[1])]


class _Epoch(NamedTuple):
    """What the orders of all seeds in one epoch depend on."""

    seeds: tuple[int, ...]
    epoch: int
    examples: int
    batch_size: int
    bootstrap: bool
    classes: Classes | None

    @property
    def bytes(self) -> int:
        return 4 * len(self.seeds) * -(-self.examples // self.batch_size) * self.batch_size


class _Memory:
    """The orders of the last epochs, each made once; those of the next epoch are made while these are in use.

    Counting bytes takes the same time however much is remembered: a population asks often.
    """

    def __init__(self) -> None:
        self._lock = Lock()  # the parts of a population ask from threads of their own
        self._orders: OrderedDict[_Epoch, Future[np.ndarray]] = OrderedDict()
        self._bytes = 0

    def get(self, place: _Epoch) -> np.ndarray:
        """The orders of an epoch, (seeds, steps, batch_size)."""
        future = self._begun(place)
        if 4 * place.bytes <= _KEPT:
            self._begun(place._replace(epoch=place.epoch + 1))
        return future.result()

    def _begun(self, place: _Epoch) -> Future[np.ndarray]:
        with self._lock:
            if place in self._orders:
                self._orders.move_to_end(place)
                return self._orders[place]
            future = self._orders[place] = _makers().submit(_orders_of_epoch, place)
            self._bytes += place.bytes
            while self._bytes > _KEPT and len(self._orders) > 2:  # the epoch in use, and the next one
                self._bytes -= self._orders.popitem(last=False)[0].bytes
            return future


_memory = _Memory()


def positions(
    seed: int,
    examples: int,
    batch_size: int,
    first: int,
    count: int,
    bootstrap: bool = False,
    classes: Classes | None = None,
) -> np.ndarray:
    """Which examples the steps first, first + 1, ... train on.

    Every epoch visits every example once, in a new order; its last batch may be short.  With `bootstrap` it
    visits the bootstrap sample of the seed instead: as many examples, drawn with replacement.  With `classes` it
    makes as many draws, equally many of each class.
    Returns int32 (count, batch_size), `PADDING` where a short batch has no example.
    """
    return positions_of_all([seed], examples, batch_size, first, count, bootstrap, classes)[0]


def positions_of_all(
    seeds: Sequence[int],
    examples: int,
    batch_size: int,
    first: int,
    count: int,
    bootstrap: bool = False,
    classes: Classes | None = None,
) -> np.ndarray:
    """`positions` of several seeds: int32 (seeds, count, batch_size)."""
    if not count:
        return np.empty((len(seeds), 0, batch_size), np.int32)
    per_epoch = -(-examples // batch_size)
    begin, end = first // per_epoch, -(-(first + count) // per_epoch)
    rows = [
        _memory.get(_Epoch(tuple(seeds), epoch, examples, batch_size, bootstrap, classes))
        for epoch in range(begin, end)
    ]
    steps = rows[0] if len(rows) == 1 else np.concatenate(rows, axis=1)
    return steps[:, first - begin * per_epoch :][:, :count]


def sample(seed: int, examples: int) -> np.ndarray:
    """(examples,) int32: the bootstrap sample that a seed trains on, drawn with replacement (Breiman 1996).

    A word modulo the number of examples favours the first ones by less than examples / 2⁶⁴.
    """
    words = _stream.words(seed, SAMPLE, examples)
    return (words % np.uint64(examples)).astype(np.int32)


@cache
def _makers() -> ThreadPoolExecutor:
    """The thread that begins the next epoch's orders."""
    return ThreadPoolExecutor(2, "orders")


@cache
def _sorters() -> ThreadPoolExecutor:
    """The threads that sort: NumPy lets go of the interpreter meanwhile."""
    return ThreadPoolExecutor(len(machine.cores()), "sort")


def _orders_of_epoch(place: _Epoch) -> np.ndarray:
    """All batches of one epoch, (seeds, steps, batch_size)."""
    seeds, steps = place.seeds, -(-place.examples // place.batch_size)
    orders = np.full((len(seeds), steps * place.batch_size), PADDING, np.int32)
    share = max(1, _SHARE // place.examples)
    if len(seeds) <= share:
        _fill(orders, seeds, place)
    else:
        begins = range(0, len(seeds), share)
        shares = [
            _sorters().submit(_fill, orders[i : i + share], seeds[i : i + share], place) for i in begins
        ]
        for future in shares:
            future.result()
    return orders.reshape(len(seeds), steps, place.batch_size)


def _fill(orders: np.ndarray, seeds: Sequence[int], place: _Epoch) -> None:
    """Writes the order of each seed into its row.

    NumPy promises the raw stream of a bit generator for ever, but not what its Generator methods make of it;
    so the permutation is the order of raw 64-bit words.
    """
    if place.classes:
        for row, seed in zip(orders, seeds, strict=True):
            words = _stream.words(seed, place.epoch, 2 * place.examples).reshape(2, -1)
            row[: place.examples] = place.classes.drawn(place.epoch, words)
        return
    ranked = _ranked(np.stack([_stream.words(seed, place.epoch, place.examples) for seed in seeds]))
    if place.bootstrap:
        samples = np.stack([sample(seed, place.examples) for seed in seeds])
        ranked = np.take_along_axis(samples, ranked, 1)
    orders[:, : place.examples] = ranked


class _Stream(local):
    """Philox, set to the beginning of any stream: that takes a seventh of the time of making a generator."""

    def __init__(self) -> None:
        self._bits = np.random.Philox(key=np.zeros(2, np.uint64))
        self._beginning: Any = self._bits.state

    def words(self, seed: int, epoch: int, count: int) -> np.ndarray:
        """(count,) uint64: the first raw words of the stream whose key is (seed, epoch)."""
        self._beginning["state"]["key"] = np.array([seed, epoch], np.uint64)
        self._bits.state = self._beginning
        return self._bits.random_raw(count)


_stream = _Stream()


def _ranked(words: np.ndarray) -> np.ndarray:
    """The positions of the words (..., n) uint64 of each row from the least on, equal ones in their order.

    The low bits of each word make room for its position, and the words themselves are sorted: for 55,000 of them
    that takes a sixth of the time of a stable argsort.  Where two differ in those bits alone, which one epoch in
    200,000 meets, it is the stable argsort.
    """
    examples = words.shape[-1]
    low = np.uint64((1 << max(1, examples - 1).bit_length()) - 1)
    packed = (words & ~low) | np.arange(examples, dtype=np.uint64)
    packed.sort()
    if (packed[..., 1:] ^ packed[..., :-1] <= low).any():
        return np.argsort(words, kind="stable")
    return (packed & low).astype(np.intp)
