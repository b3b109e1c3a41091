"""The compiled programs of a run or a population, and its data on the device."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from nnrun.training import flat
from nnrun.training.evaluate import Evaluator, batch_for, compile_evaluator, padded
from nnrun.training.loop import Program, capacity, compile_chunk
from nnrun.training.order import positions
from nnrun.training.step import initial_state
from nnrun.types import Examples, Experiment, State

__all__ = ["Programs", "compile_programs", "held", "one_like", "to_metrics"]


class Programs(NamedTuple):
    """What is needed to train and evaluate; lanes is None for a run alone."""

    experiment: Experiment
    lanes: int | None
    shapes: State  # the state as shapes
    start: Callable[..., State]  # seeds -> the state before the first step
    chunk: Program
    evaluator: Evaluator
    x: Array  # training data as stored
    y: Array
    held_x: Array  # validation and test part one after another, padded
    held_y: Array

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the logged numbers."""
        return self.chunk.names

    @property
    def capacity(self) -> int:
        """Most steps that one call of `advance` can do."""
        return capacity(self.experiment.plan.batch_size, self.lanes or 1)

    def advance(self, state: State, first: int, count: int) -> tuple[State, Array]:
        """Begins to train steps first .. first + count − 1; returns at once, `rows` waits for the log."""
        plan, examples = self.experiment.plan, len(self.experiment.dataset.train.y)
        orders = np.zeros((len(plan.seeds), self.capacity, plan.batch_size), np.int32)
        for i, seed in enumerate(plan.seeds):
            orders[i, :count] = positions(seed, examples, plan.batch_size, first, count)
        return self.chunk.advance(
            state, self.x, self.y, orders if self.lanes else orders[0], np.int32(first), np.int32(count)
        )

    def rows(self, log: Array, count: int) -> np.ndarray:
        """The logged numbers of a chunk, (lanes, count, names) float64."""
        found = np.asarray(log).astype(np.float64)
        return (found if self.lanes else found[None])[:, :count]

    def initial(self) -> State:
        """The state before the first step, with a leading axis of lanes where there are several seeds."""
        seeds = np.array(self.experiment.plan.seeds, np.uint32)
        return self.start(seeds if self.lanes else seeds[0])

    def unpack(self, state: State) -> list[dict[str, np.ndarray]]:
        """The arrays of each lane, copied to the host."""
        arrays = flat.flatten(state)
        return [flat.lane(arrays, i) for i in range(self.lanes)] if self.lanes else [arrays]

    def pack(self, lanes: list[dict[str, np.ndarray]]) -> State:
        """The state of a run or population from the arrays of its lanes."""
        return flat.unflatten(flat.stack(lanes) if self.lanes else lanes[0], self.shapes)

    def measure(self, state: State, split: str) -> Array:
        """Begins to evaluate the validation or test part; returns at once, `metrics` waits."""
        start, stop = self._range(split)
        return self.evaluator.run(state, self.held_x, self.held_y, start, stop)

    def metrics(self, sums: Array, split: str) -> list[dict[str, float]]:
        """The metrics of each lane from what `measure` returned, as val/name or test/name."""
        start, stop = self._range(split)
        return to_metrics(self.experiment, self.evaluator, sums, stop - start, split)

    def evaluate(self, state: State, split: str) -> list[dict[str, float]]:
        """Metrics of each lane on the validation or test part."""
        return self.metrics(self.measure(state, split), split)

    def _range(self, split: str) -> tuple[int, int]:
        dataset = self.experiment.dataset
        middle = len(dataset.val.y)
        return (0, middle) if split == "val" else (middle, middle + len(dataset.test.y))


def to_metrics(
    experiment: Experiment, evaluator: Evaluator, sums: Array, examples: int, split: str
) -> list[dict[str, float]]:
    """Metrics of each lane from an evaluator's sums over so many examples, named split/name."""
    means = np.atleast_2d(evaluator.means(sums, examples))
    metrics_of = experiment.loss(experiment.knobs).metrics
    found = (metrics_of(dict(zip(evaluator.names, row.tolist(), strict=True))) for row in means)
    return [{f"{split}/{name}": value for name, value in metrics.items()} for metrics in found]


def compile_programs(experiment: Experiment) -> Programs:
    """Puts the data on the device and compiles; the lanes of a population are the seeds of the plan."""
    lanes = len(experiment.plan.seeds)
    lanes = lanes if lanes > 1 else None
    dataset = experiment.dataset
    x, y = jax.device_put(tuple(dataset.train))
    size, held_x, held_y = held([dataset.val, dataset.test])

    def one(seed: Array) -> State:
        return _fresh(experiment, seed)

    seeds = jax.ShapeDtypeStruct((lanes,) if lanes else (), jnp.uint32)
    start = jax.jit(jax.vmap(one) if lanes else one).lower(seeds).compile()
    shapes = jax.eval_shape(jax.vmap(one) if lanes else one, seeds)
    chunk = compile_chunk(experiment, shapes, x, y, lanes)
    evaluator = compile_evaluator(experiment, shapes, held_x, held_y, size, lanes)
    return Programs(experiment, lanes, shapes, start, chunk, evaluator, x, y, held_x, held_y)


def held(parts: list[Examples]) -> tuple[int, Array, Array]:
    """Parts of the data on the device, ready for an evaluator, and the size of its batches."""
    size = batch_for(parts)
    return size, *jax.device_put(tuple(padded(parts, size)))


def _fresh(experiment: Experiment, seed: jax.Array) -> State:
    knobs = jax.tree.map(lambda value: jnp.asarray(value, float), experiment.knobs)
    return initial_state(experiment, jax.random.key(seed), knobs)


def one_like(experiment: Experiment) -> State:
    """The state of one lane as shapes only."""
    return jax.eval_shape(lambda: _fresh(experiment, jnp.uint32(0)))
