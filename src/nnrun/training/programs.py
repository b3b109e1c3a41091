"""The compiled programs of a run or a population, and its data on the device."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from nnrun.training import flat
from nnrun.training.averages import compile_averages
from nnrun.training.evaluate import Evaluator, batch_for, compile_evaluator, padded
from nnrun.training.loop import Program, capacity, compile_chunk
from nnrun.training.order import positions
from nnrun.training.step import initial_state
from nnrun.types import Examples, Experiment, State

Sums = dict[str, Array]  # of an evaluation: of the state under "", of each average under its name

__all__ = ["Programs", "Sums", "compile_programs", "held", "measured", "one_like", "to_metrics"]


class Programs(NamedTuple):
    """What is needed to train and evaluate; lanes is None for a run alone."""

    experiment: Experiment
    lanes: int | None
    shapes: State  # the state as shapes
    start: Callable[..., State]  # seeds -> the state before the first step
    react: Callable[..., State]  # state, metric -> state
    averages: Callable[[State], dict[str, State]]
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

    def reacted(self, state: State, metrics: list[dict[str, float]]) -> State:
        """The state after its schedule has seen what an evaluation found in each lane."""
        plan = self.experiment.plan
        if plan.reacts_to is None:
            return state
        sign = -1.0 if plan.reacts_to in plan.rising else 1.0
        values = np.array([sign * one[plan.reacts_to] for one in metrics], jnp.zeros(()).dtype)
        return self.react(state, values if self.lanes else values[0])

    def unpack(self, state: State) -> list[dict[str, np.ndarray]]:
        """The arrays of each lane, copied to the host."""
        arrays = flat.flatten(state)
        return [flat.lane(arrays, i) for i in range(self.lanes)] if self.lanes else [arrays]

    def pack(self, lanes: list[dict[str, np.ndarray]]) -> State:
        """The state of a run or population from the arrays of its lanes."""
        return flat.unflatten(flat.stack(lanes) if self.lanes else lanes[0], self.shapes)

    def measure(self, state: State, split: str) -> Sums:
        """Begins to evaluate the validation or test part; returns at once, `metrics` waits."""
        return measured(self.evaluator, self.averages, state, self.held_x, self.held_y, self._range(split))

    def metrics(self, sums: Sums, split: str) -> list[dict[str, float]]:
        """The metrics of each lane from what `measure` returned, as val/name, test/name or val/average/name."""
        start, stop = self._range(split)
        return to_metrics(self.experiment, self.evaluator, sums, stop - start, split)

    def evaluate(self, state: State, split: str) -> list[dict[str, float]]:
        """Metrics of each lane on the validation or test part."""
        return self.metrics(self.measure(state, split), split)

    def _range(self, split: str) -> tuple[int, int]:
        dataset = self.experiment.dataset
        middle = len(dataset.val.y)
        return (0, middle) if split == "val" else (middle, middle + len(dataset.test.y))


def measured(
    evaluator: Evaluator,
    averages: Callable[[State], dict[str, State]],
    state: State,
    x: Array,
    y: Array,
    bounds: tuple[int, int],
) -> Sums:
    """Begins to evaluate a state and its averages on a range of padded data."""
    states = {"": state, **averages(state)}
    return {name: evaluator.run(one, x, y, *bounds) for name, one in states.items()}


def to_metrics(
    experiment: Experiment, evaluator: Evaluator, sums: Sums, examples: int, split: str
) -> list[dict[str, float]]:
    """Metrics of each lane from sums over so many examples, named split/name or split/average/name."""
    metrics_of = experiment.loss(experiment.knobs).metrics
    lanes: list[dict[str, float]] = []
    for average, found in sums.items():
        prefix = f"{split}/{average}/" if average else f"{split}/"
        means = np.atleast_2d(evaluator.means(found, examples))
        lanes = lanes or [{} for _ in means]
        for lane, row in zip(lanes, means, strict=True):
            terms = dict(zip(evaluator.names, row.tolist(), strict=True))
            beside = {name: terms.pop(name) for name in evaluator.beside}
            metrics = metrics_of(terms) | beside
            lane.update({prefix + name: value for name, value in metrics.items()})
    return lanes


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
    averages = compile_averages(experiment, shapes, x, y, lanes)
    react = jax.jit(jax.vmap(partial(_react, experiment)) if lanes else partial(_react, experiment))
    return Programs(experiment, lanes, shapes, start, react, averages, chunk, evaluator, x, y, held_x, held_y)


def _react(experiment: Experiment, state: State, metric: Array) -> State:
    """The state after the schedule has seen a metric, of which less is better."""
    react = experiment.schedule(state.knobs).react
    return state if react is None else state._replace(reaction=react(state.reaction, metric))


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
