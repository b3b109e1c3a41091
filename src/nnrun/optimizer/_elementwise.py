"""From the rule on one array, which is the paper, to a transform of trees, which is optax's interface."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import Array

from nnrun.types import Tree

__all__ = ["ElementwiseState", "elementwise"]


class ElementwiseState(NamedTuple):
    """Steps done, and for each name of the rule's memory a tree like the parameters."""

    t: Array  # () int32
    memory: dict[str, Tree]


def elementwise(
    rule: Callable[..., tuple[Array, dict[str, Array]]], **start: float
) -> optax.GradientTransformationExtraArgs:
    """An optimizer from its rule on one array.

    rule    (g, t, **memory) -> update, memory    g: the gradient of an array; t = 1, 2, ..., a float scalar
    start   the value that each name of the memory has before the first step

    The rule computes in float32 at least: with bfloat16 parameters the memory is float32 and the update is
    rounded once, at the end.
    """

    def init(params):
        def full(value):
            return jax.tree.map(lambda p: jnp.full(p.shape, value, _working_dtype(p)), params)

        return ElementwiseState(
            jnp.zeros((), jnp.int32), {name: full(value) for name, value in start.items()}
        )

    def update(updates, state, params=None, **extra):
        del params, extra
        t = state.t + 1

        def one(g, *memory):
            wide = g.astype(_working_dtype(g))
            change, new = rule(wide, t.astype(wide.dtype), **dict(zip(start, memory, strict=True)))
            return (change.astype(g.dtype), *(new[name] for name in start))

        gradients, structure = jax.tree.flatten(updates)
        memories = [structure.flatten_up_to(state.memory[name]) for name in start]
        results = [one(*arrays) for arrays in zip(gradients, *memories, strict=True)]
        columns = [structure.unflatten(column) for column in zip(*results, strict=True)] or [
            updates,
            *state.memory.values(),
        ]
        return columns[0], ElementwiseState(t, dict(zip(start, columns[1:], strict=True)))

    return optax.GradientTransformationExtraArgs(init, update)


def _working_dtype(a: Array) -> jnp.dtype:
    # Not jnp.promote_types, which refuses to mix dtypes where promotion is strict.
    return a.dtype if jnp.finfo(a.dtype).bits >= 32 else jnp.dtype(jnp.float32)
