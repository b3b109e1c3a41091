"""Exact averages over a whole part of the data."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from nnrun.training.compiling import compiled
from nnrun.training.feed import Feed, Shaped
from nnrun.training.sampled import Predict, without_noise
from nnrun.training.step import normalise
from nnrun.types import Batch, Examples, Experiment, State, Tree

__all__ = ["Evaluator", "Held", "compile_evaluator", "make_held"]

_LARGEST = 512  # examples of one evaluation batch
_SMALLEST = 64


class Held(NamedTuple):
    """Parts of the data ready to be evaluated.

    size   examples of one batch
    feeds  of each part
    whole  x and y of all parts one after another, padded, on the device; None: they are streamed
    """

    size: int
    feeds: list[Feed]
    whole: tuple[Array, Array] | None

    @property
    def rows(self) -> int:
        """How many examples are streamed at a time, a whole number of batches."""
        most = max(1, *(-(-self.examples(part) // self.size) for part in range(len(self.feeds))))
        return self.size * self.feeds[0].together(self.size, most)

    def like(self) -> tuple[Shaped, Shaped]:
        """x and y as the program gets them."""
        if self.whole is not None:
            return self.whole
        x, y = (
            jax.ShapeDtypeStruct((self.rows, *part.shape[1:]), part.dtype) for part in self.feeds[0].examples
        )
        return x, y

    def examples(self, part: int) -> int:
        """How many examples a part has."""
        return len(self.feeds[part].examples.y)

    def pieces(self, part: int) -> Iterator[tuple[Array, Array, int, int, int]]:
        """What to evaluate in turn: x, y, first row and last of them, place of the first in its part."""
        if self.whole is not None:
            start = sum(map(self.examples, range(part)))
            yield *self.whole, start, start + self.examples(part), 0
            return
        done = 0
        for x, y, count in self.feeds[part].windows(self.rows):
            yield x, y, 0, count, done
            done += count


def make_held(parts: list[Examples]) -> Held:
    """Puts parts of the data on the device, unless their inputs are to be streamed."""
    size = _batch_for(parts)
    if all(isinstance(part.x, np.ndarray) for part in parts):
        return Held(size, [Feed(part, None) for part in parts], jax.device_put(tuple(_padded(parts, size))))
    return Held(size, [Feed(part, None) for part in parts], None)


def _batch_for(parts: list[Examples]) -> int:
    """Examples of one evaluation batch: a power of two that the smallest part nearly fills, 64 to 512."""
    fewest = min((len(part.y) for part in parts if len(part.y)), default=_SMALLEST)
    return min(_LARGEST, max(_SMALLEST, 1 << (fewest - 1).bit_length()))


def _padded(parts: list[Examples], batch: int) -> Examples:
    """The parts one after another, with zeros behind so that any window of a batch fits."""

    def pad(arrays: list[np.ndarray]) -> np.ndarray:
        tail = np.zeros((batch, *arrays[0].shape[1:]), arrays[0].dtype)
        return np.concatenate([*arrays, tail])

    return Examples(pad([np.asarray(part.x) for part in parts]), pad([part.y for part in parts]))


class Evaluator(NamedTuple):
    """A compiled evaluation.

    names   of the averaged terms
    beside  those of them that are none of the loss, but metrics as they are
    sums    (params, stats, knobs, key, x, y, start, stop, place) -> (lanes..., batches, terms)
            of examples start .. stop − 1 of x, the first of which is at `place` in its part; 0 behind the last batch
    held    what is evaluated
    """

    names: tuple[str, ...]
    beside: tuple[str, ...]
    sums: Callable[..., Array]
    held: Held

    def run(self, state: State, part: int) -> list[Array]:
        """Begins to evaluate a part; returns the sums, at once unless data are streamed."""
        sums: list[Array] = []
        for x, y, *bounds in self.held.pieces(part):
            parts = state.params, state.stats, state.knobs, state.key
            if len(sums) > 1:
                sums[-2].block_until_ready()  # so that no more than three pieces are there
            sums.append(self.sums(*parts, x, y, *map(np.int32, bounds)))
        return sums

    def means(self, sums: list[Array], part: int) -> np.ndarray:
        """Averages of what `run` returned, (lanes..., terms): the batches are added in float64, in order."""
        examples = self.held.examples(part)
        batches = np.concatenate([np.asarray(piece).astype(np.float64) for piece in sums], axis=-2)
        return batches[..., : -(-examples // self.held.size), :].sum(-2) / examples


def compile_evaluator(
    experiment: Experiment,
    state: State,
    held: Held,
    lanes: int | None,
    predict: Predict = without_noise,
) -> Evaluator:
    """Compiles the evaluation of parts of the data; one program serves them all."""
    names: list[str] = []
    beside: list[str] = []
    size, like = held.size, held.like()
    batches = -(-like[0].shape[0] // size)

    def sums(params: Tree, stats: Tree, knobs: Tree, key: Array, x: Array, y: Array, *bounds: Array) -> Array:
        start, stop, place = bounds
        model, loss = experiment.model(knobs), experiment.loss(knobs)

        @partial(jax.jit, inline=True)  # traced once, used twice
        def terms(i: Array) -> Array:
            first = start + i * size
            rows = first + jnp.arange(size, dtype=jnp.int32)
            weight = (rows < stop).astype(float)
            batch = _window(x, y, first, weight)
            inputs, targets = normalise(experiment, batch)
            outputs, extras = predict(model, params, stats, inputs, key, place + i * size)
            values = loss.terms(outputs, targets) | extras
            names[:], beside[:] = sorted(values), sorted(extras)
            return jnp.stack([jnp.where(weight > 0, values[name], 0.0).sum() for name in names])

        width = jax.eval_shape(terms, jnp.int32(0)).shape[0]
        count = (stop - start + size - 1) // size
        rows = jnp.zeros((batches, width))
        return lax.fori_loop(0, count, lambda i, r: lax.dynamic_update_index_in_dim(r, terms(i), i, 0), rows)

    function: Callable[..., Array] = sums
    if lanes is not None:
        function = jax.vmap(sums, in_axes=(0, 0, 0, 0, *[None] * 5))
    bound = jax.ShapeDtypeStruct((), jnp.int32)
    parts = state.params, state.stats, state.knobs, state.key
    lowered = jax.jit(function).lower(*parts, *like, bound, bound, bound)
    return Evaluator(tuple(names), tuple(beside), compiled(lowered), held)


def _window(x: Array, y: Array, first: Array, weight: Array) -> Batch:
    size = weight.shape[0]
    return Batch(lax.dynamic_slice_in_dim(x, first, size), lax.dynamic_slice_in_dim(y, first, size), weight)
