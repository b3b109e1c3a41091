"""What a model says of many inputs, one batch after another."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from nnrun.rows import Rows
from nnrun.training.compiling import compiled
from nnrun.training.step import normalise
from nnrun.types import Batch, Experiment, State, Tree

__all__ = ["BATCH", "Outputs", "compile_outputs", "essential", "outputs_of"]

BATCH = 256  # inputs at a time, always: the last bits of an output may depend on the size of its batch

# (params, stats, knobs), inputs (n, *shape) as stored, a function to call after each batch -> outputs (n, ...)
Outputs = Callable[[State, "np.ndarray | Rows", Callable[[], None]], np.ndarray]


def essential(like: State) -> State:
    """What of a state its predictions depend on; the rest becomes None."""
    knobs = {name: like.knobs[name] for name in ("model", "loss")}
    return like._replace(opt_state=None, schedule_state=None, average=None, knobs=knobs)


def outputs_of(experiment: Experiment, params: Tree, stats: Tree, knobs: Tree, x: Array) -> Array:
    """The outputs (n, ...) of the model for inputs (n, *shape) as stored, without noise, stored statistics."""
    size = x.shape[0]
    standardised, _ = normalise(experiment, Batch(x, jnp.zeros(size, jnp.int32), jnp.ones(size)))
    return experiment.model(knobs).apply(params, stats, standardised, None, None)[0]


def compile_outputs(experiment: Experiment, like: State) -> Outputs:
    """Compiles the outputs of the model without noise, with stored batch-norm statistics.

    like   the state, or its essential part, as shapes
    Memory on the device is that of one state and two batches, whatever the number of inputs.
    """
    x = experiment.dataset.train.x
    dtype = jnp.zeros(()).dtype

    outputs = partial(outputs_of, experiment)
    batch = jax.ShapeDtypeStruct((BATCH, *x.shape[1:]), x.dtype)
    program = compiled(jax.jit(outputs).lower(like.params, like.stats, like.knobs, batch))
    shape = jax.eval_shape(outputs, like.params, like.stats, like.knobs, batch).shape[1:]

    def run(state: State, x: np.ndarray | Rows, tick: Callable[[], None]) -> np.ndarray:
        outputs_of_all = np.empty((len(x), *shape), dtype)
        begun: list[tuple[int, Array]] = []  # of which one is under way while the one before is copied
        for start in range(0, len(x), BATCH):
            rows = np.asarray(x[start : start + BATCH])
            padding = [(0, BATCH - len(rows))] + [(0, 0)] * (rows.ndim - 1)
            whole = jax.device_put(np.pad(rows, padding))
            begun.append((start, program(state.params, state.stats, state.knobs, whole)))
            if len(begun) > 1:
                _copy(outputs_of_all, *begun.pop(0))
            tick()
        for start, batch_outputs in begun:
            _copy(outputs_of_all, start, batch_outputs)
        return outputs_of_all

    return run


def _copy(target: np.ndarray, start: int, batch_outputs: Array) -> None:
    rows = target[start : start + BATCH]
    rows[:] = np.asarray(batch_outputs)[: len(rows)]
