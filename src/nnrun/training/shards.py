"""A population in equal parts that are trained side by side: one for each device, or some for each processor core.

The matrices of one small net do not keep two cores busy, and stacking ten nets hardly helps: XLA's CPU backend
runs a small batched product on one core.  Two halves in two threads take 0.6 times the time of the whole.  A core
trains a large population part by part, a chunk of steps each, so that the state of a part stays in its cache.  On
one other device a population is one program; several devices get a part each, with the data, and exchange nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import chain
from typing import Any, NamedTuple, Protocol, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from nnrun import machine
from nnrun.hosts import joined
from nnrun.training.led import Leader
from nnrun.training.memory import bytes_of
from nnrun.training.programs import Pieces, Programs, compile_programs, waited
from nnrun.training.start import one_like
from nnrun.types import Experiment, State

__all__ = ["Compiled", "LanesState", "Log", "PendingEvaluation", "Shards", "compile_shards"]

LanesState = Any  # the state of all lanes, as Programs (State) or Shards (HeldStates) hold it
Log = Any  # what was logged in a chunk, likewise
PendingEvaluation = Any  # an evaluation that was begun, likewise
Device = Any  # a jax.Device, which is no type to checkers
_CACHE = 4 << 20  # bytes of state that a core keeps near it
_LEAST_LANES = 8  # of a part of a population whose lanes do not fit there: in fewer, each step costs more
HeldStates = list["Future[tuple[State, Log]]"]  # the state of each part, and what was logged on the way to it

Result = TypeVar("Result")
Item = TypeVar("Item")


class Compiled(Protocol):
    """What the driver of a run needs; Programs and Shards provide it.  A state is opaque to the driver."""

    @property
    def experiment(self) -> Experiment: ...
    @property
    def names(self) -> tuple[str, ...]: ...
    @property
    def capacity(self) -> int: ...
    @property
    def stride(self) -> int: ...
    def reach(self, step: int) -> int: ...
    def prepare(self) -> None: ...
    def initial(self) -> LanesState: ...
    def advance(self, state: LanesState, first: int, count: int) -> tuple[LanesState, Log]: ...
    def rows(self, log: Log, count: int) -> np.ndarray: ...
    def measure(self, state: LanesState, split: str) -> PendingEvaluation: ...
    def metrics(self, sums: PendingEvaluation, split: str) -> list[dict[str, float]]: ...
    def evaluate(self, state: LanesState, split: str) -> list[dict[str, float]]: ...
    def reacted(self, state: LanesState, metrics: list[dict[str, float]]) -> LanesState: ...
    def unpack(self, state: LanesState) -> list[dict[str, np.ndarray]]: ...
    def pack(self, lanes: list[dict[str, np.ndarray]]) -> LanesState: ...
    def for_lanes(self, experiment: Experiment) -> Compiled: ...


class Shards(NamedTuple):
    """The interface of Programs over several of them; the last part may hold copies of the last lane."""

    experiment: Experiment
    parts: list[Programs]  # the same compiled programs, for other seeds
    workers: list[ThreadPoolExecutor]  # of each part: one thread, so that its work is done in order
    double: bool  # float64; jax keeps this setting for each thread
    devices: tuple[Device, ...]  # of each part

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the logged numbers."""
        return self.parts[0].names

    @property
    def capacity(self) -> int:
        """Most steps that one call of `advance` can do."""
        return self.parts[0].capacity

    @property
    def stride(self) -> int:
        """Steps that are best done in a row."""
        return self.parts[0].stride

    def reach(self, step: int) -> int:
        """Most steps that one call of `advance` can do from there."""
        return self.parts[0].reach(step)

    def prepare(self) -> None:
        """Compiles what `initial` needs, in this thread, which hears signals."""
        for part in self.parts:
            part.prepare()

    def initial(self) -> HeldStates:
        """The state before the first step."""
        self.prepare()
        return [self._send(i, lambda part=part: (part.initial(), None)) for i, part in enumerate(self.parts)]

    def advance(self, state: HeldStates, first: int, count: int) -> tuple[HeldStates, HeldStates]:
        """Begins to train steps first .. first + count − 1; returns at once, `rows` waits for the log."""

        def train(i: int) -> tuple[State, Log]:
            return jax.block_until_ready(self.parts[i].advance(state[i].result()[0], first, count))

        done = [self._send(i, train, i) for i in range(len(self.parts))]
        return done, done

    def rows(self, log: HeldStates, count: int) -> np.ndarray:
        """The logged numbers of a chunk, (lanes, count, names) float64."""
        logged = [part.rows(held.result()[1], count) for part, held in zip(self.parts, log, strict=True)]
        return np.concatenate(logged)[: self._lanes]

    def measure(self, state: HeldStates, split: str) -> list[Future[Pieces]]:
        """Begins to evaluate the validation or test part; returns at once, `metrics` waits."""

        def evaluate(i: int) -> Pieces:
            return waited(self.parts[i].measure(state[i].result()[0], split))

        return [self._send(i, evaluate, i) for i in range(len(self.parts))]

    def metrics(self, sums: list[Future[Pieces]], split: str) -> list[dict[str, float]]:
        """The metrics of each lane from what `measure` returned."""
        metrics_of_parts = (
            part.metrics(future.result(), split) for part, future in zip(self.parts, sums, strict=True)
        )
        return list(chain.from_iterable(metrics_of_parts))[: self._lanes]

    def evaluate(self, state: HeldStates, split: str) -> list[dict[str, float]]:
        """Metrics of each lane on the validation or test part."""
        return self.metrics(self.measure(state, split), split)

    def reacted(self, state: HeldStates, metrics: list[dict[str, float]]) -> HeldStates:
        """The state after its schedule has seen what an evaluation found in each lane."""

        def react(i: int, share: list[dict[str, float]]) -> tuple[State, Log]:
            held, log = state[i].result()
            return self.parts[i].reacted(held, share), log

        return [self._send(i, react, i, share) for i, share in enumerate(self._shares(metrics))]

    def unpack(self, state: HeldStates) -> list[dict[str, np.ndarray]]:
        """The arrays of each lane, copied to the host."""
        arrays_of_parts = (
            part.unpack(held.result()[0]) for part, held in zip(self.parts, state, strict=True)
        )
        return list(chain.from_iterable(arrays_of_parts))[: self._lanes]

    def pack(self, lanes: list[dict[str, np.ndarray]]) -> HeldStates:
        """The state from the arrays of the lanes."""
        return [
            self._send(i, lambda part=part, share=share: (part.pack(share), None))
            for i, (part, share) in enumerate(zip(self.parts, self._shares(lanes), strict=True))
        ]

    def _shares(self, lanes: list[Item]) -> list[list[Item]]:
        """What belongs to each part, of one thing for each lane."""
        size = len(self.parts[0].experiment.plan.seeds)
        lanes = [*lanes, *[lanes[-1]] * (size * len(self.parts) - len(lanes))]
        return [lanes[i : i + size] for i in range(0, len(lanes), size)]

    def for_lanes(self, experiment: Experiment) -> Shards:
        """The same programs for other lanes, at most as many: seeds, and values of knobs."""
        shares = _split(experiment, len(self.parts), len(self.parts[0].experiment.plan.seeds))
        parts = [part.for_lanes(share) for part, share in zip(self.parts, shares, strict=True)]
        return self._replace(experiment=experiment, parts=parts)

    @property
    def _lanes(self) -> int:
        return len(self.experiment.plan.seeds)

    def _send(self, part: int, work: Callable[..., Result], *arguments: object) -> Future[Result]:
        def run() -> Result:
            with jax.enable_x64(self.double), jax.default_device(self.devices[part]):
                return work(*arguments)

        return self.workers[part].submit(run)


def compile_shards(experiment: Experiment, cores: int | None = None) -> Compiled:
    """Compiles a run or population, which is divided over the devices, or over the cores of a single CPU.

    cores   how many parts of a CPU at most; all cores of the machine by default
    With other processes, the batch is divided over the devices of all of them, and this one drives.
    """
    if (party := joined()) is not None:
        return Leader(compile_programs(experiment), party)
    seeds, devices = experiment.plan.seeds, jax.local_devices()
    several = len(devices) > 1
    most = (
        len(devices) if several else (cores or len(machine.cores())) if jax.default_backend() == "cpu" else 1
    )
    at_once = min(len(seeds), most)
    if at_once == 1:
        return compile_programs(experiment)
    size = -(-len(seeds) // at_once)
    if not several:
        size = _near_the_core(experiment, size, at_once)
    shares = _split(experiment, -(-len(seeds) // size), size)
    places = tuple(devices[: len(shares)]) if several else (devices[0],) * len(shares)
    programs_at: dict[Device, Programs] = {}
    for share, place in zip(shares, places, strict=True):
        with jax.default_device(place):  # a program belongs to the device that it was compiled for
            programs_at[place] = programs_at.get(place) or compile_programs(share)
    parts = [programs_at[place].for_lanes(share) for share, place in zip(shares, places, strict=True)]
    double = bool(jnp.zeros(()).dtype == jnp.float64)
    threads = [ThreadPoolExecutor(1) for _ in range(min(at_once, len(parts)))]
    workers = [threads[i % len(threads)] for i in range(len(parts))]
    return Shards(experiment, parts, workers, double, places)


def _near_the_core(experiment: Experiment, size: int, at_once: int) -> int:
    """The lanes of a part where a core takes several, one after another, since `size` lanes do not fit its cache.

    Every core takes as many parts as the others.
    """
    if size <= _LEAST_LANES:
        return size
    most = max(_LEAST_LANES, _CACHE // bytes_of(one_like(experiment)))
    return -(-len(experiment.plan.seeds) // (at_once * -(-size // most)))


def _split(experiment: Experiment, parts: int, size: int) -> list[Experiment]:
    """The lanes in parts of equal size, filled up with copies of the last one."""

    def shares(lanes: tuple[Item, ...]) -> list[tuple[Item, ...]]:
        lanes = (*lanes, *[lanes[-1]] * (parts * size - len(lanes)))
        return [lanes[i : i + size] for i in range(0, len(lanes), size)]

    seeds = shares(experiment.plan.seeds)
    knobs = shares(experiment.lane_knobs) if experiment.lane_knobs else [()] * parts
    return [
        experiment._replace(plan=experiment.plan._replace(seeds=seeds_of_part), lane_knobs=lane_knobs)
        for seeds_of_part, lane_knobs in zip(seeds, knobs, strict=True)
    ]
