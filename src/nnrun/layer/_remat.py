"""Models whose blocks are computed again on the way back, so that what their layers put out need not be kept."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar

import jax
from jax import Array

from nnrun.types import Layer, Tree

__all__ = ["by_blocks", "noticing_blocks", "through"]

_blocks: ContextVar[list[str] | None] = ContextVar("blocks", default=None)  # those so far; None: all is kept


def by_blocks(model: Layer) -> Layer:
    """The same model, of which the backward pass has what goes into each block, and computes the rest anew.

    A block is a layer that is composed of others and stands at the top of the model: those of a residual net or of a
    transformer.  Of L blocks with a activations each, L inputs and a are in memory in place of L · a; each block is
    computed forwards twice.  Noise is a function of its key, so it is the same both times.
    Source: Chen et al. 2016, "Training deep nets with sublinear memory cost".
    """

    def apply(
        params: Tree, stats: Tree, x: Array, key: Array | None, weight: Array | None
    ) -> tuple[Array, Tree]:
        with contextlib.nullcontext() if _blocks.get() is not None else noticing_blocks():
            return model.apply(params, stats, x, key, weight)

    return model._replace(apply=apply)


@contextlib.contextmanager
def noticing_blocks() -> Iterator[list[str]]:
    """A context in which models are computed by blocks, and the names of those blocks."""
    blocks: list[str] = []
    token = _blocks.set(blocks)
    try:
        yield blocks
    finally:
        _blocks.reset(token)


def through(
    name: str, layer: Layer, params: Tree, stats: Tree, x: Array, key: Array | None, weight: Array | None
) -> tuple[Array, Tree]:
    """layer.apply(params, stats, x, key, weight), a block of its own if it is composed and lies in no other."""
    blocks = _blocks.get()
    if blocks is None or not layer.composed:
        return layer.apply(params, stats, x, key, weight)
    blocks.append(name)

    @jax.checkpoint
    def block(*inputs: Tree) -> tuple[Array, Tree]:
        token = _blocks.set(None)
        try:
            return layer.apply(*inputs)
        finally:
            _blocks.reset(token)

    return block(params, stats, x, key, weight)
