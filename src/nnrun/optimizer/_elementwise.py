"""From the rule on one array, which is the paper, to a transform of trees, which is optax's interface."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import Array

from nnrun.types import Tree

__all__ = ["ElementwiseState", "Single", "elementwise", "rounded_once"]


class ElementwiseState(NamedTuple):
    """Steps done, and for each name of the rule's memory a tree like the parameters."""

    t: Array  # () int32
    memory: dict[str, Tree]


class Single(NamedTuple):
    """Where a memory starts that is one number for a whole array, instead of one for each component."""

    value: float


def elementwise(
    rule: Callable[..., tuple[Array, dict[str, Array]]], **start: float | Single
) -> optax.GradientTransformationExtraArgs:
    """An optimizer from its rule on one array.

    rule    (g, t, **memory) -> update, memory    g: the gradient of an array; t = 1, 2, ..., a float scalar
    start   the value that each name of the memory has before the first step

    The rule computes in float32 at least: with bfloat16 parameters the memory is float32 and the update is
    rounded once, at the end.
    """

    def init(params):
        def full(first: float | Single) -> Tree:
            if isinstance(first, Single):
                return jax.tree.map(lambda p: jnp.full((), first.value, p.dtype), params)
            return jax.tree.map(lambda p: jnp.full(p.shape, first, p.dtype), params)

        return ElementwiseState(
            jnp.zeros((), jnp.int32), {name: full(first) for name, first in start.items()}
        )

    def update(updates, state, params=None, **extra):
        del params, extra
        t = state.t + 1

        def one(g, *memory):
            change, new = rule(g, t.astype(g.dtype), **dict(zip(start, memory, strict=True)))
            return (change, *(new[name] for name in start))

        gradients, structure = jax.tree.flatten(updates)
        memories = [structure.flatten_up_to(state.memory[name]) for name in start]
        results = [one(*arrays) for arrays in zip(gradients, *memories, strict=True)]
        columns = [structure.unflatten(column) for column in zip(*results, strict=True)] or [
            updates,
            *state.memory.values(),
        ]
        return columns[0], ElementwiseState(t, dict(zip(start, columns[1:], strict=True)))

    return rounded_once(optax.GradientTransformationExtraArgs(init, update))


def rounded_once(transform: optax.GradientTransformation) -> optax.GradientTransformationExtraArgs:
    """The transform, computing in float32 at least: its update is rounded once, at the end."""
    transform = optax.with_extra_args_support(transform)

    def update(updates, state, params=None, **extra):
        change, state = transform.update(_widened(updates), state, _widened(params), **extra)
        return jax.tree.map(lambda u, g: u.astype(g.dtype), change, updates), state

    return optax.GradientTransformationExtraArgs(lambda params: transform.init(_widened(params)), update)


def _widened(tree: Tree) -> Tree:
    # Not jnp.promote_types, which refuses to mix dtypes where promotion is strict.
    return jax.tree.map(lambda a: a if jnp.finfo(a.dtype).bits >= 32 else a.astype(jnp.float32), tree)
