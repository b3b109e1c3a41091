"""Many steps in one compiled program.

A chunk is a loop over at most `length` steps with a *dynamic* number of turns: one program serves every
chunk of a run, so where chunks begin and end changes no bit of the result, and resuming is exact.  Logs leave
the device once a chunk; there is no host traffic inside.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from nnrun.training.columns import column_names, side_by_side
from nnrun.training.compiling import compiled
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

    names    of the columns of the log
    advance  (state, x, y, positions, first, count) -> state, log
             positions (lanes..., length, batch_size) int32 into x and y, log (lanes..., length, names)
             first, count () int32: steps done before, steps to do; the same for all lanes
             Rows from count on are not run.  The state is not donated: a chunk is many steps, so the copy
             costs nothing, and the next chunk can begin while the state of this one is looked at.
    stride   steps that are done in a row: chunks whose count is a multiple of it take no others
    """

    names: tuple[str, ...]
    advance: Callable[..., tuple[State, Array]]
    stride: int


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
    step, plan = jax.jit(make_step(experiment), inline=True), experiment.plan  # traced once, used twice
    names: list[str] = []
    places = places_of(state, place)

    def advance(
        state: State, x: Array, y: Array, positions: Array, first: Array, count: Array
    ) -> tuple[State, Array]:
        def batch(i: Array) -> Batch:
            rows = positions[i]
            examples = jnp.maximum(rows, 0)
            arrays = shared(place, (x[examples], y[examples], (rows != PADDING).astype(float)))
            return Batch(*arrays, _closing(plan, first + i + 1))

        shapes = jax.eval_shape(lambda: step(state, batch(jnp.int32(0)))[1])
        names[:] = column_names(shapes)

        def body(i: Array, carry: tuple[State, Array]) -> tuple[State, Array]:
            state, rows = carry
            state, log = step(state, batch(i))
            row = side_by_side({name: value.astype(rows.dtype) for name, value in log.items()})
            return kept(places, state), lax.dynamic_update_index_in_dim(rows, row, i, 0)

        rows = jnp.zeros((positions.shape[0], len(names)))
        return _repeated(body, (state, rows), count, stride)

    function: Callable[..., tuple[State, Array]] = advance
    if lanes is not None:
        function = jax.vmap(advance, in_axes=(0, None, None, 0, None, None))
    leading = () if lanes is None else (lanes,)
    like = jax.ShapeDtypeStruct((*leading, length, plan.batch_size), jnp.int32)
    count = jax.ShapeDtypeStruct((), jnp.int32)
    jitted = jit_on(place, function, (places, *[place] * 5), (places, place))
    program = compiled(jitted.lower(state, x, y, like, count, count))
    return Program(tuple(names), program, stride)


def _repeated(body: Callable[[Array, Tree], Tree], carry: Tree, count: Array, stride: int) -> Tree:
    """body(i, carry) for i = 0 .. count − 1, as many as possible of them in rows of `stride`.

    How often a row goes round is known to XLA.  Where it is not, a GPU waits after each turn until the host has read
    whether another one follows, for about as long as a small net's products take.
    """
    if stride == 1:
        return lax.fori_loop(0, count, body, carry)

    def row(j: Array, carry: Tree) -> Tree:
        return lax.fori_loop(0, stride, lambda i, carry: body(j * stride + i, carry), carry)

    carry = lax.fori_loop(0, count // stride, row, carry)
    return lax.fori_loop(count // stride * stride, count, body, carry)


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
