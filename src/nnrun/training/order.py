"""The order in which a run sees its examples: a pure function of (seed, epoch)."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from threading import Lock
from typing import NamedTuple

import numpy as np

from nnrun import machine

__all__ = ["PADDING", "Classes", "positions", "positions_of_all", "sample"]

PADDING = -1  # fills up the last batch of an epoch

_SAMPLE = 2**64 - 1  # in place of an epoch, which no run reaches
_KEPT = 256 << 20  # bytes of orders that are remembered
_SHARE = 16  # seeds whose orders a thread makes at a time


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
            order = members[np.argsort(words[0, members], kind="stable")]
            draws.append(np.resize(order, count + extra))
        return np.concatenate(draws)[np.argsort(words[1], kind="stable")]


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
    words = np.random.Philox(key=np.array([seed, _SAMPLE], np.uint64)).random_raw(examples)
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
    if len(seeds) <= _SHARE:
        _fill(orders, seeds, place)
    else:
        shares = range(0, len(seeds), _SHARE)
        done = [
            _sorters().submit(_fill, orders[i : i + _SHARE], seeds[i : i + _SHARE], place) for i in shares
        ]
        for future in done:
            future.result()
    return orders.reshape(len(seeds), steps, place.batch_size)


def _fill(orders: np.ndarray, seeds: Sequence[int], place: _Epoch) -> None:
    """Writes the order of each seed into its row.

    NumPy promises the raw stream of a bit generator for ever, but not what its Generator methods make of it;
    so the permutation is the order of raw 64-bit words.
    """
    for row, seed in zip(orders, seeds, strict=True):
        stream = np.random.Philox(key=np.array([seed, place.epoch], np.uint64))
        if place.classes:
            words = stream.random_raw(2 * place.examples).reshape(2, -1)
            row[: place.examples] = place.classes.drawn(place.epoch, words)
            continue
        order = np.argsort(stream.random_raw(place.examples), kind="stable")
        row[: place.examples] = sample(seed, place.examples)[order] if place.bootstrap else order
