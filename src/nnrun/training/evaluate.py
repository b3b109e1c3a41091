"""Exact averages over a whole part of the data."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from nnrun.training.sampled import Predict, settled
from nnrun.training.step import normalise
from nnrun.types import Batch, Examples, Experiment, State

__all__ = ["Evaluator", "batch_for", "compile_evaluator", "padded"]

_LARGEST = 512  # examples of one evaluation batch
_SMALLEST = 64


def batch_for(parts: list[Examples]) -> int:
    """Examples of one evaluation batch: a power of two that the smallest part nearly fills, 64 to 512."""
    fewest = min((len(part.y) for part in parts if len(part.y)), default=_SMALLEST)
    return min(_LARGEST, max(_SMALLEST, 1 << (fewest - 1).bit_length()))


def padded(parts: list[Examples], batch: int) -> Examples:
    """The parts one after another, with zeros behind so that any window of a batch fits."""

    def pad(arrays: list[np.ndarray]) -> np.ndarray:
        tail = np.zeros((batch, *arrays[0].shape[1:]), arrays[0].dtype)
        return np.concatenate([*arrays, tail])

    return Examples(pad([part.x for part in parts]), pad([part.y for part in parts]))


class Evaluator(NamedTuple):
    """A compiled evaluation.

    names   of the averaged terms
    beside  those of them that are none of the loss, but metrics as they are
    sums    (params, stats, knobs, key, x, y, start, stop) -> (lanes..., batches, terms); rows from `stop` on are 0
    """

    names: tuple[str, ...]
    beside: tuple[str, ...]
    sums: Callable[..., Array]

    def run(self, state: State, x: Array, y: Array, start: int, stop: int) -> Array:
        """Begins to evaluate examples start .. stop − 1 of padded data; returns the sums at once."""
        bounds = np.int32(start), np.int32(stop)
        return self.sums(state.params, state.stats, state.knobs, state.key, x, y, *bounds)

    def means(self, sums: Array, examples: int) -> np.ndarray:
        """Averages of what `sums` returned, (lanes..., terms): the batches are added in float64, in order."""
        return np.asarray(sums).astype(np.float64).sum(-2) / examples


def compile_evaluator(
    experiment: Experiment,
    state: State,
    x: Array,
    y: Array,
    size: int,
    lanes: int | None,
    predict: Predict = settled,
) -> Evaluator:
    """Compiles the evaluation of data `padded` for batches of `size`; one program serves every range of it."""
    names: list[str] = []
    beside: list[str] = []
    batches = -(-(x.shape[0] - size) // size)

    def sums(
        params: Any, stats: Any, knobs: Any, key: Array, x: Array, y: Array, start: Array, stop: Array
    ) -> Array:
        model, loss = experiment.model(knobs), experiment.loss(knobs)

        def terms(i: Array) -> Array:
            first = start + i * size
            rows = first + jnp.arange(size, dtype=jnp.int32)
            weight = (rows < stop).astype(float)
            batch = _window(x, y, first, weight)
            inputs, targets = normalise(experiment, batch)
            outputs, more = predict(model, params, stats, inputs, key, first)
            found = loss.terms(outputs, targets) | more
            names[:], beside[:] = sorted(found), sorted(more)
            return jnp.stack([jnp.where(weight > 0, found[name], 0.0).sum() for name in names])

        width = jax.eval_shape(terms, jnp.int32(0)).shape[0]
        count = (stop - start + size - 1) // size
        rows = jnp.zeros((batches, width))
        return lax.fori_loop(0, count, lambda i, r: lax.dynamic_update_index_in_dim(r, terms(i), i, 0), rows)

    function: Any = sums
    if lanes is not None:
        function = jax.vmap(sums, in_axes=(0, 0, 0, 0, None, None, None, None))
    bound = jax.ShapeDtypeStruct((), jnp.int32)
    own = state.params, state.stats, state.knobs, state.key
    lowered = jax.jit(function).lower(*own, x, y, bound, bound)
    return Evaluator(tuple(names), tuple(beside), lowered.compile())


def _window(x: Array, y: Array, first: Array, weight: Array) -> Batch:
    size = weight.shape[0]
    return Batch(lax.dynamic_slice_in_dim(x, first, size), lax.dynamic_slice_in_dim(y, first, size), weight)
