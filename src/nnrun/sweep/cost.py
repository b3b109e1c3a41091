"""What a run or a population costs on this machine: its compilation and its first steps timed, its arrays counted."""

from __future__ import annotations

import time
from typing import NamedTuple

import jax
import numpy as np

from nnrun.training import shards
from nnrun.training.chunks import chunks
from nnrun.training.programs import one_like
from nnrun.types import Experiment

__all__ = ["Measured", "compile_and_time", "memory_of", "state_bytes"]

_SECONDS = 1.0  # of training that are timed


class Measured(NamedTuple):
    """A compiled run or population, and how long it takes."""

    compiled: shards.Compiled
    compile_seconds: float
    step_seconds: float  # of one step of all lanes, with the validation that is due meanwhile
    state: shards.LanesState  # the one before the first step


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
    leaves = jax.tree.leaves(one_like(experiment)._replace(key=None))
    return sum(int(np.prod(leaf.shape)) * leaf.dtype.itemsize for leaf in leaves)


def memory_of(experiment: Experiment, lanes: int) -> int:
    """Bytes of the states of a population three times (before and after a chunk, and gradients), and of its data."""
    parts = experiment.dataset.train, experiment.dataset.val, experiment.dataset.test
    data = sum(part.x.nbytes + part.y.nbytes for part in parts if isinstance(part.x, np.ndarray))
    return 3 * state_bytes(experiment) * lanes + data
