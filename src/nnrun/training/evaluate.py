"""Exact averages over a whole part of the data."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from nnrun.training import columns
from nnrun.training.columns import column_names, side_by_side
from nnrun.training.compiling import compiled
from nnrun.training.feed import Feed, Shaped
from nnrun.training.fsdp import places_of
from nnrun.training.mesh import Everywhere, jit_on, put, shared
from nnrun.training.predictions import targets_of
from nnrun.training.sampled import Predict, without_noise
from nnrun.training.step import normalise
from nnrun.training.tally import PartEvaluation, Tally
from nnrun.types import Batch, Examples, Experiment, State, Tree

__all__ = ["Evaluator", "Held", "compile_evaluator", "for_data", "make_held", "width_of"]

_LARGEST = 512  # examples of one evaluation batch
_SMALLEST = 64
_OUTPUTS = 64 << 20  # bytes of outputs at a time, where metrics need them


class Held(NamedTuple):
    """Parts of the data ready to be evaluated.

    size   examples of one batch
    feeds  of each part
    whole  x and y of all parts one after another, padded, on the device; None: they are streamed
    most   examples that are evaluated at a time at most, a whole number of batches; None: whatever is there
    place  where they are
    """

    size: int
    feeds: list[Feed]
    whole: tuple[Array, Array] | None
    most: int | None = None
    place: Everywhere = None

    @property
    def rows(self) -> int:
        """How many examples are streamed at a time, a whole number of batches."""
        most = max(1, *(-(-self.examples(part) // self.size) for part in range(len(self.feeds))))
        rows = self.size * self.feeds[0].together(self.size, most)
        return min(rows, self.most or rows)

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
            start, count = sum(map(self.examples, range(part))), self.examples(part)
            for done in range(0, count, self.most or max(count, 1)):
                yield *self.whole, start + done, start + min(count, done + (self.most or count)), done
            return
        done = 0
        for x, y, count in self.feeds[part].windows(self.rows):
            yield x, y, 0, count, done
            done += count


def make_held(parts: list[Examples], width: int = 0, place: Everywhere = None) -> Held:
    """Puts parts of the data on the device, unless their inputs are to be streamed.

    width   numbers that are put out for an example and leave the device, by all lanes; 0: none do
    place   where they are put
    """
    size = _batch_for(parts)
    most = size * max(1, _OUTPUTS // (8 * size * width)) if width else None
    feeds = [Feed(part, None, place) for part in parts]
    if all(isinstance(part.x, np.ndarray) for part in parts):
        return Held(size, feeds, put(tuple(_padded(parts, size)), place), most, place)
    return Held(size, feeds, None, most, place)


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
            of examples start .. stop − 1 of x, the first of which is at `place` in its part; 0 behind the last batch;
            and their outputs (lanes..., batches, size, width), None where no metric needs them
    held    what is evaluated
    tallies      () -> new ones, one for each lane
    targets      of each part, as metrics take them
    """

    names: tuple[str, ...]
    beside: tuple[str, ...]
    sums: Callable[..., tuple[Array, Array]]
    held: Held
    tallies: Callable[[], list[Tally]]
    targets: list[np.ndarray]

    def run(self, state: State, part: int) -> PartEvaluation:
        """Begins to evaluate a part; returns at once unless it comes in many pieces."""
        evaluation = PartEvaluation(self.tallies(), self.targets[part])
        for x, y, *bounds in self.held.pieces(part):
            parts = state.params, state.stats, state.knobs, state.key
            evaluation.make_room()
            evaluation.add(*self.sums(*parts, x, y, *map(np.int32, bounds)), bounds[1] - bounds[0])
        return evaluation

    def means(self, evaluation: PartEvaluation, part: int) -> np.ndarray:
        """Averages of what `run` returned, (lanes..., terms): the batches are added in float64, in order."""
        examples = self.held.examples(part)
        sums = [np.asarray(piece).astype(np.float64) for piece in evaluation.sums]
        batches = np.concatenate(sums, axis=-2)
        return batches[..., : -(-examples // self.held.size), :].sum(-2) / examples


def width_of(experiment: Experiment) -> int:
    """Numbers that a model puts out for an example and that metrics of the spec need; 0 where it asks for none."""
    asked = experiment.loss(experiment.knobs).measures
    return experiment.dataset.fitted.outputs if asked else 0


def compile_evaluator(
    experiment: Experiment,
    state: State,
    held: Held,
    lanes: int | None,
    predict: Predict = without_noise,
    parts: Sequence[str] = ("val", "test"),
) -> Evaluator:
    """Compiles the evaluation of parts of the data; one program serves them all.

    parts   the names of what is held
    """
    names: list[str] = []
    beside: list[str] = []
    size, like = held.size, held.like()
    targets = [targets_of(experiment.dataset, name) for name in parts]
    if not any(map(held.examples, range(len(parts)))):  # nothing is held out, and nothing evaluated
        return Evaluator((), (), _of_nothing, held, list, targets)
    batches = -(-min(like[0].shape[0], held.most or like[0].shape[0]) // size)
    loss_of_run = experiment.loss(experiment.knobs)
    measured = bool(loss_of_run.measures)

    def sums(params: Tree, stats: Tree, knobs: Tree, key: Array, x: Array, y: Array, *bounds: Array) -> Tree:
        start, stop, place = bounds
        model, loss = experiment.model(knobs), experiment.loss(knobs)

        @partial(jax.jit, inline=True)  # traced once, used twice
        def terms(i: Array) -> tuple[Array, Array | None]:
            first = start + i * size
            rows = first + jnp.arange(size, dtype=jnp.int32)
            weight = (rows < stop).astype(float)
            batch = shared(held.place, _window(x, y, first, weight))
            inputs, targets = normalise(experiment, batch)
            outputs, extras = predict(model, params, stats, inputs, key, place + i * size)
            values = loss.terms(outputs, targets) | extras
            names[:], beside[:] = column_names(values, axes=1), sorted(extras)
            counts = {name: columns.beside(weight, value) > 0 for name, value in values.items()}
            summed = {name: jnp.where(counts[name], value, 0.0).sum(0) for name, value in values.items()}
            return side_by_side(summed), outputs if measured else None

        shapes = jax.eval_shape(terms, jnp.int32(0))
        count = (stop - start + size - 1) // size
        empty = jax.tree.map(lambda a: jnp.zeros((batches, *a.shape), a.dtype), shapes)

        def add(i: Array, rows: Tree) -> Tree:
            return jax.tree.map(lambda r, a: lax.dynamic_update_index_in_dim(r, a, i, 0), rows, terms(i))

        return lax.fori_loop(0, count, add, empty)

    function: Callable[..., Tree] = sums
    if lanes is not None:
        function = jax.vmap(sums, in_axes=(0, 0, 0, 0, *[None] * 5))
    lowered = _lowered(function, state, held)

    def tallies() -> list[Tally]:
        return [Tally(loss_of_run, experiment.dataset, size) for _ in range(lanes or 1)] if measured else []

    return Evaluator(tuple(names), tuple(beside), compiled(lowered), held, tallies, targets)


def _lowered(function: Callable[..., Tree], state: State, held: Held) -> jax.stages.Lowered:
    """The sums of a state as shapes, traced for where its arrays and the data are."""
    leaves = state.params, state.stats, state.knobs, state.key
    places = None if held.place is None else (*places_of(leaves, held.place), *[held.place] * 5)
    bounds = [jax.ShapeDtypeStruct((), jnp.int32)] * 3
    return jit_on(held.place, function, places).lower(*leaves, *held.like(), *bounds)


def _of_nothing(*arguments: object) -> tuple[Array, Array]:
    raise AssertionError("no part of the data has an example to evaluate")


def for_data(evaluator: Evaluator, experiment: Experiment, parts: list[Examples], width: int) -> Evaluator:
    """The same program for other data of the same shapes, of a run alone.

    parts   the validation and the test part
    width   as of `make_held`
    """
    held = make_held(parts, width)
    loss = experiment.loss(experiment.knobs)

    def tallies() -> list[Tally]:
        return [Tally(loss, experiment.dataset, held.size)] if loss.measures else []

    targets = [targets_of(experiment.dataset, name) for name in ("val", "test")]
    return evaluator._replace(held=held, tallies=tallies, targets=targets)


def _window(x: Array, y: Array, first: Array, weight: Array) -> Batch:
    size = weight.shape[0]
    return Batch(lax.dynamic_slice_in_dim(x, first, size), lax.dynamic_slice_in_dim(y, first, size), weight)
