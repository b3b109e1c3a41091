"""Many steps in one compiled program.

A chunk is a loop over at most `length` steps with a *dynamic* number of turns: one program serves every
chunk of a run, so where chunks begin and end changes no bit of the result, and resuming is exact.  Logs leave
the device once a chunk; there is no host traffic inside.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from nnrun.training.columns import column_names, side_by_side
from nnrun.training.compiling import LateProgram, compiled
from nnrun.training.feed import Shaped
from nnrun.training.fsdp import kept, places_of
from nnrun.training.mesh import Everywhere, jit_on, shared
from nnrun.training.order import PADDING
from nnrun.training.step import make_step
from nnrun.types import Batch, Experiment, Plan, State, Tree

__all__ = ["Program", "capacity", "compile_chunk", "in_a_row"]

_FEW = 64  # steps for which positions cost next to nothing
_IN_A_ROW = 16  # steps, at most, that a GPU does without the host: a signal waits for their end
_FEW_ARRAYS = 32  # of parameters: a step that takes long has more, or a batch of more numbers
_FEW_NUMBERS = 1 << 20


class Program(NamedTuple):
    """A compiled chunk.

    names     of the columns of the log
    advance   (state, x, y, positions, first, count) -> state, log
              positions (lanes..., length, batch_size) int32 into x and y, log (lanes..., length, names)
              first, count () int32: steps done before, steps to do; the same for all lanes
              Rows from count on are not run.  The state is not donated: a chunk is many steps, so the copy
              costs nothing, and the next chunk can begin while the state of this one is looked at.
    stride    steps that are done in a row: chunks whose count is a multiple of it take no others
    compiled  what XLA made of a chunk, or of a row
    """

    names: tuple[str, ...]
    advance: Callable[..., tuple[State, Array]]
    stride: int
    compiled: jax.stages.Compiled


def capacity(plan: Plan, lanes: int) -> int:
    """Most steps in a chunk: enough that the way back to the host costs nothing, 16 MB of positions at most.

    A chunk ends where an evaluation or a checkpoint is due, and the positions that are handed over with each are
    always as many: hardly more than can be used.
    """
    apart = min(plan.evaluate_every, plan.checkpoint_every or plan.evaluate_every, plan.steps)
    return int(np.clip(4_000_000 // (plan.batch_size * lanes), 1, min(512, max(_FEW, apart))))


def compile_chunk(
    experiment: Experiment,
    state: State,
    x: Shaped,
    y: Shaped,
    lanes: int | None,
    length: int,
    place: Everywhere = None,
    stride: int = 1,
) -> Program:
    """Compiles the loop over steps for one run (lanes None) or a population with a leading axis of lanes.

    length   most steps of one call
    state    as shapes, which say where their arrays are if those are in parts
    place    where the other arrays are, if several devices share each batch
    stride   how many steps are done in a row
    """
    places = places_of(state, place)
    leading = () if lanes is None else (lanes,)
    positions = jax.ShapeDtypeStruct((*leading, length, experiment.plan.batch_size), jnp.int32)
    number = jax.ShapeDtypeStruct((), jnp.int32)
    step = jax.jit(make_step(experiment), inline=True)
    loop = _Loop(step, experiment.plan, place, places)
    names = loop.names(_of_one_lane(state, lanes), x, y)

    def chunk(state, x, y, positions, first, count):
        rows = jnp.zeros((positions.shape[0], len(names)))
        return loop.steps((state, rows), x, y, positions, first, 0, count)

    def row(state, rows, x, y, positions, first, begin):
        return loop.steps((state, rows), x, y, positions, first, begin, stride)

    def lowered_chunk() -> jax.stages.Lowered:
        function = chunk if lanes is None else jax.vmap(chunk, in_axes=(0, None, None, 0, None, None))
        jitted = jit_on(place, function, (places, *[place] * 5), (places, place))
        return jitted.lower(state, x, y, positions, number, number)

    if stride == 1:
        program = compiled(lowered_chunk())
        return Program(names, program, 1, program)
    function = row if lanes is None else jax.vmap(row, in_axes=(0, 0, None, None, 0, None, None))
    jitted = jit_on(place, function, (places, *[place] * 6), (places, place))
    rows = np.zeros((*leading, length, len(names)), jnp.zeros(()).dtype)
    program = compiled(jitted.lower(state, rows, x, y, positions, number, number))
    advance = partial(_in_rows, program, LateProgram(lowered_chunk), rows, stride)
    return Program(names, advance, stride, program)


def _in_rows(
    row: jax.stages.Compiled,
    chunk: LateProgram,
    blank: np.ndarray,
    stride: int,
    state: State,
    x: Array,
    y: Array,
    positions: Array,
    first: np.int32,
    count: np.int32,
) -> tuple[State, Array]:
    """A chunk as calls of the program of a row, which return at once; where the count is no multiple, as any chunk.

    How often a row goes round is known to XLA.  Where it is not, a GPU waits after each turn until the host has read
    whether another one follows, and the host for the GPU.
    """
    if count % stride:
        return chunk(state, x, y, positions, first, count)
    rows: np.ndarray | Array = blank
    for begin in range(0, int(count), stride):
        state, rows = row(state, rows, x, y, positions, first, np.int32(begin))
    return state, jnp.asarray(rows)


class _Loop(NamedTuple):
    """The loop over steps of one lane."""

    step: Callable[..., tuple[State, dict[str, Array]]]  # jitted: it is traced once, and used twice
    plan: Plan
    place: Everywhere
    places: Tree  # of the state

    def names(self, state: State, x: Shaped, y: Shaped) -> tuple[str, ...]:
        """Names of the columns of the log; of a state as shapes."""
        rows, closing = (
            jax.ShapeDtypeStruct((self.plan.batch_size,), jnp.int32),
            jax.ShapeDtypeStruct((), bool),
        )

        def logged(state: State, x: Array, y: Array, rows: Array, closing: Array) -> dict[str, Array]:
            return self.step(state, self._batch(x, y, rows, closing))[1]

        return tuple(column_names(jax.eval_shape(logged, state, x, y, rows, closing)))

    def steps(
        self,
        carry: tuple[State, Array],
        x: Array,
        y: Array,
        positions: Array,
        first: Array,
        begin: Array | int,
        count: Array | int,
    ) -> tuple[State, Array]:
        """Steps begin .. begin + count − 1 of those at `positions`, the first of which is step `first` of the run."""

        def body(i: Array, carry: tuple[State, Array]) -> tuple[State, Array]:
            state, rows = carry
            at = begin + i
            state, log = self.step(
                state, self._batch(x, y, positions[at], _closing(self.plan, first + at + 1))
            )
            row = side_by_side({name: value.astype(rows.dtype) for name, value in log.items()})
            return kept(self.places, state), lax.dynamic_update_index_in_dim(rows, row, at, 0)

        return lax.fori_loop(0, count, body, carry)

    def _batch(self, x: Array, y: Array, rows: Array, closing: Array) -> Batch:
        examples = jnp.maximum(rows, 0)
        arrays = shared(self.place, (x[examples], y[examples], (rows != PADDING).astype(float)))
        return Batch(*arrays, closing)


def _of_one_lane(state: State, lanes: int | None) -> State:
    """The state of a lane, as shapes, without where they are."""
    begin = 0 if lanes is None else 1
    return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape[begin:], leaf.dtype), state)


def in_a_row(plan: Plan, state: State, data: tuple[Shaped, Shaped] | None, length: int) -> int:
    """How many steps are done in a row: a divisor of whatever lies between two places where a chunk has to end.

    data   x and y, if they are on the device: blocks of streamed data would cut rows
    1 but for short steps on a GPU: others hide the wait, and would have a signal wait.
    """
    if data is None:
        return 1
    numbers = plan.batch_size * math.prod(data[0].shape[1:])
    short = len(jax.tree.leaves(state.params)) <= _FEW_ARRAYS and numbers <= _FEW_NUMBERS
    if jax.default_backend() != "gpu" or not short:
        return 1
    apart = math.gcd(plan.steps, plan.evaluate_every, plan.checkpoint_every or 0, *plan.kept)
    return next(stride for stride in range(min(_IN_A_ROW, length), 0, -1) if apart % stride == 0)


def _closing(plan: Plan, done: Array) -> Array:
    """Whether a line of metrics ends after this many steps."""
    return (done % plan.log_every == 0) | (done % plan.evaluate_every == 0) | (done == plan.steps)
