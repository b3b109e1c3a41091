"""The compiled programs of a run or a population, and its data on the device."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from nnrun.statistics.metric import metric_of
from nnrun.training import flat
from nnrun.training.averages import compile_averages
from nnrun.training.compiling import LateProgram
from nnrun.training.evaluate import Evaluator, compile_evaluator, for_data, make_held, width_of
from nnrun.training.feed import begin, make_feed
from nnrun.training.fsdp import gathering, in_parts, places_of, whole
from nnrun.training.loop import Program, capacity, compile_chunk, in_a_row
from nnrun.training.mesh import everywhere, is_far, jit_on
from nnrun.training.reader import Reader
from nnrun.training.start import knobs_of_lanes
from nnrun.training.step import initial_state
from nnrun.training.tally import PartEvaluation
from nnrun.types import Experiment, State, Tree

# Of an evaluation: of the state under "", of each average under its name; a Future of it where data are streamed.
Pieces = dict[str, PartEvaluation]
Sums = Pieces | Future[Pieces]

__all__ = [
    "Pieces",
    "Programs",
    "Sums",
    "compile_programs",
    "measured",
    "to_metrics",
    "waited",
]

_PARTS = ("val", "test")


class Programs(NamedTuple):
    """What is needed to train and evaluate; lanes is None for a run alone."""

    experiment: Experiment
    lanes: int | None
    shapes: State  # the state as shapes
    start: LateProgram  # seeds, knobs -> the state before the first step
    react: Callable[..., State]  # state, metric -> state
    averages: Callable[[State], dict[str, State]]
    chunk: Program
    evaluator: Evaluator  # of the validation and the test part
    reader: Reader  # training data

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the logged numbers."""
        return self.chunk.names

    @property
    def capacity(self) -> int:
        """Most steps that one call of `advance` can do."""
        return self.reader.capacity

    @property
    def stride(self) -> int:
        """Steps that are best done in a row."""
        return self.chunk.stride

    def reach(self, step: int) -> int:
        """Most steps that one call of `advance` can do from there."""
        return self.reader.reach(step)

    def advance(self, state: State, first: int, count: int) -> tuple[State, Array]:
        """Begins to train steps first .. first + count − 1; returns at once, `rows` waits for the log."""
        x, y, positions = self.reader.batches(first, count)
        orders = positions if self.lanes else positions[0]
        return self.chunk.advance(state, x, y, orders, np.int32(first), np.int32(count))

    def rows(self, log: Array, count: int) -> np.ndarray:
        """The logged numbers of a chunk, (lanes, count, names) float64."""
        logged = np.asarray(log).astype(np.float64)
        return (logged if self.lanes else logged[None])[:, :count]

    def prepare(self) -> None:
        """Compiles what `initial` needs, for whoever knows that it will be asked for."""
        self.start.compile()

    def initial(self) -> State:
        """The state before the first step, with a leading axis of lanes where there are several seeds."""
        seeds, knobs = np.array(self.experiment.plan.seeds, np.uint32), knobs_of_lanes(self.experiment)
        if self.lanes is None:
            return self.start(seeds[0], knobs[0])
        return self.start(seeds, jax.tree.map(lambda *values: np.stack(values), *knobs))

    def reacted(self, state: State, metrics: list[dict[str, float]]) -> State:
        """The state after its schedule has seen what an evaluation found in each lane."""
        plan = self.experiment.plan
        if plan.reacts_to is None:
            return state
        sign = -metric_of(plan.reacts_to, plan.rising).sign  # less is better for schedules
        values = np.array(
            [sign * metrics_of_lane[plan.reacts_to] for metrics_of_lane in metrics], jnp.zeros(()).dtype
        )
        return self.react(state, values if self.lanes else values[0])

    def unpack(self, state: State) -> list[dict[str, np.ndarray]]:
        """The arrays of each lane, copied to the host."""
        place = self.reader.feed.place
        arrays = flat.flatten(whole(state, place) if is_far(place) else state)
        return [flat.lane(arrays, i) for i in range(self.lanes)] if self.lanes else [arrays]

    def pack(self, lanes: list[dict[str, np.ndarray]]) -> State:
        """The state of a run or population from the arrays of its lanes."""
        arrays = flat.stack(lanes) if self.lanes else lanes[0]
        return flat.unflatten(arrays, self.shapes, places_of(self.shapes, self.reader.feed.place))

    def measure(self, state: State, split: str) -> Sums:
        """Begins to evaluate the validation or test part; returns at once, `metrics` waits."""
        return measured(self.evaluator, self.averages, state, _PARTS.index(split))

    def metrics(self, sums: Sums, split: str) -> list[dict[str, float]]:
        """The metrics of each lane from what `measure` returned, as val/name, test/name or val/average/name."""
        return to_metrics(self.experiment, self.evaluator, sums, _PARTS.index(split), split)

    def evaluate(self, state: State, split: str) -> list[dict[str, float]]:
        """Metrics of each lane on the validation or test part."""
        return self.metrics(self.measure(state, split), split)

    def for_lanes(self, experiment: Experiment) -> Programs:
        """The same programs for as many other lanes: seeds, and values of knobs."""
        reader = Reader(self.reader.feed, experiment.plan, self.capacity)
        return self._replace(experiment=experiment, reader=reader)

    def for_data(self, experiment: Experiment) -> Programs:
        """The same programs for other data of the same shapes, and other values of knobs; of a run alone.

        Data that are constants of a program, such as what inputs are divided by, must be the same.
        """
        dataset = experiment.dataset
        feed = make_feed(dataset.train, dataset.weights, len(self.reader.like()[1]))
        parts = [dataset.val, dataset.test]
        evaluator = for_data(self.evaluator, experiment, parts, width_of(experiment))
        reader = Reader(feed, experiment.plan, self.capacity)
        return self._replace(experiment=experiment, reader=reader, evaluator=evaluator)


def measured(
    evaluator: Evaluator, averages: Callable[[State], dict[str, State]], state: State, part: int
) -> Sums:
    """Begins to evaluate a state and its averages on a part of what the evaluator holds; returns at once."""

    def run() -> Pieces:
        states = {"": state, **averages(state)}
        return {name: evaluator.run(averaged, part) for name, averaged in states.items()}

    # Processes that share a batch must begin their programs in the same order, which threads do not keep.
    return run() if evaluator.held.whole is not None or is_far(evaluator.held.place) else begin(run)


def waited(sums: Sums) -> Pieces:
    """The sums when they are there."""
    pieces = sums.result() if isinstance(sums, Future) else sums
    for evaluation in pieces.values():
        evaluation.end()
    return pieces


def to_metrics(
    experiment: Experiment, evaluator: Evaluator, sums: Sums, part: int, split: str
) -> list[dict[str, float]]:
    """Metrics of each lane from sums over a part, named split/name or split/average/name."""
    metrics_of = experiment.loss(experiment.knobs).metrics
    lanes: list[dict[str, float]] = []
    for average, evaluation in waited(sums).items():
        prefix = f"{split}/{average}/" if average else f"{split}/"
        means = np.atleast_2d(evaluator.means(evaluation, part))
        asked = [tally.metrics() for tally in evaluation.tallies] or [{}] * len(means)
        lanes = lanes or [{} for _ in means]
        for lane, row, asked_of_lane in zip(lanes, means, asked, strict=True):
            terms = dict(zip(evaluator.names, row.tolist(), strict=True))
            beside = {name: terms.pop(name) for name in evaluator.beside}
            metrics = metrics_of(terms) | beside | asked_of_lane
            lane.update({prefix + name: value for name, value in metrics.items()})
    return lanes


def compile_programs(experiment: Experiment, rows: int = 0) -> Programs:
    """Puts the data on the device, unless they are streamed, and compiles.

    rows   of training data that the programs take, where those are fewer; see Programs.for_data

    The lanes of a population are the seeds of the plan, each with its own knobs where the experiment says so.
    """
    lanes = len(experiment.plan.seeds) if len(experiment.plan.seeds) > 1 else None
    dataset = experiment.dataset
    width = (lanes or 1) * width_of(experiment)
    place = everywhere(experiment.plan)
    feed = make_feed(dataset.train, dataset.weights, rows, place)
    held = make_held([dataset.val, dataset.test], width, place)
    reader = Reader(feed, experiment.plan, capacity(experiment.plan, lanes or 1))
    x, y = reader.like()

    def one(seed: Array, knobs: Tree) -> State:
        return initial_state(experiment, jax.random.key(seed), knobs)

    leading = (lanes,) if lanes else ()
    seeds = jax.ShapeDtypeStruct(leading, jnp.uint32)
    knobs = jax.tree.map(
        lambda value: jax.ShapeDtypeStruct(leading, value.dtype), knobs_of_lanes(experiment)[0]
    )
    fresh = jax.vmap(one) if lanes else one
    shapes = jax.eval_shape(fresh, seeds, knobs)
    if place is not None:
        experiment = experiment._replace(noise=partial(experiment.noise, shared=True))
    if experiment.plan.fsdp:
        shapes, experiment = in_parts(place, shapes), gathering(experiment, place)
    start = LateProgram(lambda: jit_on(place, fresh, None, places_of(shapes, place)).lower(seeds, knobs))
    stride = in_a_row(experiment.plan, shapes, feed.whole, reader.capacity)
    chunk = compile_chunk(experiment, shapes, x, y, lanes, reader.capacity, place, stride)
    evaluator = compile_evaluator(experiment, shapes, held, lanes)
    averages = compile_averages(experiment, shapes, feed, lanes)
    react = jax.jit(jax.vmap(partial(_react, experiment)) if lanes else partial(_react, experiment))
    return Programs(experiment, lanes, shapes, start, react, averages, chunk, evaluator, reader)


def _react(experiment: Experiment, state: State, metric: Array) -> State:
    """The state after the schedule has seen a metric, of which less is better."""
    react = experiment.schedule(state.knobs).react
    return state if react is None else state._replace(schedule_state=react(state.schedule_state, metric))
