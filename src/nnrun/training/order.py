"""The order in which a run sees its examples: a pure function of (seed, epoch)."""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock

import numpy as np

__all__ = ["PADDING", "positions", "sample"]

PADDING = -1  # fills up the last batch of an epoch

_SAMPLE = 2**64 - 1  # in place of an epoch, which no run reaches
_KEPT = 256 << 20  # bytes of orders that are remembered
_orders: OrderedDict[tuple[int, ...], np.ndarray] = OrderedDict()
_lock = Lock()  # the parts of a population ask from threads of their own


def positions(
    seed: int, examples: int, batch_size: int, first: int, count: int, bootstrap: bool = False
) -> np.ndarray:
    """Which examples the steps first, first + 1, ... train on.

    Every epoch visits every example once, in a new order; its last batch may be short.  With `bootstrap` it
    visits the bootstrap sample of the seed instead: as many examples, drawn with replacement.
    Returns int32 (count, batch_size), `PADDING` where a short batch has no example.
    """
    per_epoch = -(-examples // batch_size)
    steps = np.arange(first, first + count)
    rows = [
        _remembered(seed, int(epoch), examples, batch_size, 1 if bootstrap else 0)
        for epoch in range(first // per_epoch, -(-(first + count) // per_epoch))
    ]
    return (
        np.concatenate(rows)[steps - (first // per_epoch) * per_epoch]
        if count
        else np.empty((0, batch_size), np.int32)
    )


def sample(seed: int, examples: int) -> np.ndarray:
    """(examples,) int32: the bootstrap sample that a seed trains on, drawn with replacement (Breiman 1996).

    A word modulo the number of examples favours the first ones by less than examples / 2⁶⁴.
    """
    words = np.random.Philox(key=np.array([seed, _SAMPLE], np.uint64)).random_raw(examples)
    return (words % np.uint64(examples)).astype(np.int32)


def _remembered(*place: int) -> np.ndarray:
    """_epoch(*place), made once; the least recently used are forgotten."""
    with _lock:
        if place in _orders:
            _orders.move_to_end(place)
            return _orders[place]
    order = _epoch(*place)
    with _lock:
        _orders[place] = order
        while sum(order.nbytes for order in _orders.values()) > _KEPT and len(_orders) > 1:
            _orders.popitem(last=False)
    return order


def _epoch(seed: int, epoch: int, examples: int, batch_size: int, bootstrap: int) -> np.ndarray:
    """All batches of one epoch, (steps, batch_size).

    NumPy promises the raw stream of a bit generator for ever, but not what its Generator methods make of it;
    so the permutation is the order of raw 64-bit words.
    """
    words = np.random.Philox(key=np.array([seed, epoch], np.uint64)).random_raw(examples)
    order = np.argsort(words, kind="stable").astype(np.int32)
    if bootstrap:
        order = sample(seed, examples)[order]
    short = -examples % batch_size
    return np.concatenate([order, np.full(short, PADDING, np.int32)]).reshape(-1, batch_size)
