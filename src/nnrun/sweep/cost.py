"""What a run or a population costs on this machine: its compilation and first steps timed, or estimated from others."""

from __future__ import annotations

import time
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from nnrun.training import shards
from nnrun.training.chunks import chunks
from nnrun.training.memory import bytes_of, share_of_state
from nnrun.training.start import one_like
from nnrun.training.step import make_step
from nnrun.types import Batch, Experiment, State

__all__ = [
    "Measured",
    "ProgramCost",
    "Seconds",
    "Work",
    "compile_and_time",
    "cost_like",
    "memory_of",
    "state_bytes",
    "work_of",
]

_SECONDS = 1.0  # of training that are timed


class Measured(NamedTuple):
    """A compiled run or population, and how long it takes."""

    compiled: shards.Compiled
    compile_seconds: float
    step_seconds: float  # of one step of all lanes, with the validation that is due meanwhile
    state: shards.LanesState  # the one before the first step


class Work(NamedTuple):
    """What a step of one lane takes, counted in its program before XLA optimizes it.

    A loop inside counts as one turn, however often it turns.
    """

    operations: float  # in floating point
    transfer: float  # bytes read and written
    lines: int  # of the program

    @property
    def amount(self) -> float:
        """Operations and bytes together: a core does about as many of either in a second."""
        return self.operations + self.transfer


class ProgramCost(NamedTuple):
    """One structure: the trials that share its program, and what it costs."""

    alternatives: list[str]
    trials: int
    lanes: int  # of one population
    steps: int
    compile_seconds: float
    seconds: float  # of all its trials
    memory: int  # bytes of one population
    measured: bool = True  # or estimated from one that was


class Seconds(NamedTuple):
    """What a population costs, measured or estimated."""

    compile_seconds: float
    step_seconds: float  # of one step of all lanes


def work_of(experiment: Experiment) -> Work:
    """Traces a step; compiles nothing."""
    train, plan, step = experiment.dataset.train, experiment.plan, make_step(experiment)

    def advance(state: State, x: Array, y: Array, weight: Array) -> object:
        return step(state, Batch(x, y, weight, jnp.bool_(False)))

    x, y = (
        jax.ShapeDtypeStruct((plan.batch_size, *part.shape[1:]), part.dtype) for part in (train.x, train.y)
    )
    weight = jax.ShapeDtypeStruct((plan.batch_size,), jnp.result_type(float))
    lowered = jax.jit(advance).lower(one_like(experiment), x, y, weight)
    counts = lowered.cost_analysis() or {}
    return Work(counts.get("flops", 0.0), counts.get("bytes accessed", 0.0), lowered.as_text().count("\n"))


def cost_like(known: Seconds, work: Work, lanes: int, like: Work, like_lanes: int) -> Seconds:
    """The cost of a population from that of another one of the same kind of model.

    Good between optimizers of one model, rough between widths.  A convolution takes several times as long as a
    product of matrices for the same operations, so one kind of model says little of another.
    """
    return Seconds(
        known.compile_seconds * work.lines / like.lines,
        known.step_seconds * work.amount * lanes / (like.amount * like_lanes),
    )


def compile_and_time(experiment: Experiment) -> Measured:
    """Compiles the programs and trains for about a second; nothing is kept."""
    began = time.monotonic()
    compiled = shards.compile_shards(experiment)
    state = compiled.initial()
    compiling = time.monotonic() - began
    began, first, last = time.monotonic(), 0, 0
    for chunk in chunks(compiled, state, 0, experiment.plan.steps):
        if not first:  # the first chunk is one step, and pays for what comes first
            first, began = chunk.step, time.monotonic()
        last = chunk.step
        if time.monotonic() - began > _SECONDS:
            break
    return Measured(compiled, compiling, (time.monotonic() - began) / max(1, last - first), state)


def state_bytes(experiment: Experiment) -> int:
    """Bytes of the state of one lane: parameters, what the optimizer remembers, averages, statistics."""
    return bytes_of(one_like(experiment))


def memory_of(experiment: Experiment, lanes: int) -> int:
    """Bytes of the states of a population three times (before and after a chunk, and gradients), and of its data.

    Of a state in parts, those of one device.
    """
    parts = experiment.dataset.train, experiment.dataset.val, experiment.dataset.test
    data = sum(part.x.nbytes + part.y.nbytes for part in parts if isinstance(part.x, np.ndarray))
    return int(3 * state_bytes(experiment) * share_of_state(experiment.plan)) * lanes + data
