"""Looking at what goes through the layers of a model, one by one, while it is applied."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar
from typing import NamedTuple

from jax import Array

from nnrun.layer._remat import through
from nnrun.types import Layer, Tree

__all__ = ["Passage", "applied", "inside", "watching"]


class Passage(NamedTuple):
    """A batch on its way through one layer, as arrays, or as what stands for them inside a trace.

    path        names from the model down, as in the names of its parameters: block_1/sum/branch/conv_1
    x, y        (n, *x_shape), (n, *y_shape)
    composed    whether it is made of layers that have passages of their own
    """

    path: tuple[str, ...]
    layer: Layer
    params: Tree
    stats: Tree
    x: Array
    y: Array
    composed: bool


class _Watch:
    """The passages so far, by path, and where the model is being applied now."""

    def __init__(self) -> None:
        self.passages: dict[tuple[str, ...], Passage] = {}
        self.place: tuple[str, ...] = ()


_watch: ContextVar[_Watch | None] = ContextVar("watch", default=None)


@contextlib.contextmanager
def watching() -> Iterator[list[Passage]]:
    """A context, and a list that has the passages of the models applied inside it when it ends, outer layers last.

    Of a layer that is applied several times, as where predictions are averaged, the first passage counts.
    """
    watch, passages = _Watch(), []
    token = _watch.set(watch)
    try:
        yield passages
    finally:
        _watch.reset(token)
        passages += watch.passages.values()


@contextlib.contextmanager
def inside(name: str) -> Iterator[None]:
    """A context in which layers lie below this name."""
    watch = _watch.get()
    if watch is None:
        yield
        return
    watch.place = (*watch.place, name)
    try:
        yield
    finally:
        watch.place = watch.place[:-1]


def applied(
    name: str, layer: Layer, params: Tree, stats: Tree, x: Array, key: Array | None, weight: Array | None
) -> tuple[Array, Tree]:
    """layer.apply(params, stats, x, key, weight), seen by whoever watches."""
    watch = _watch.get()
    if watch is None:
        return through(name, layer, params, stats, x, key, weight)
    before = set(watch.passages)
    with inside(name):
        y, new = layer.apply(params, stats, x, key, weight)
    path = (*watch.place, name)
    composed = any(other[: len(path)] == path for other in watch.passages.keys() - before)
    watch.passages.setdefault(path, Passage(path, layer, params, stats, x, y, composed))
    return y, new
