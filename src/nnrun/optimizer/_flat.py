"""Parameters as one vector, which is how the books write second-order methods."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax

from nnrun.optimizer._evaluate import evaluate
from nnrun.types import Objective, Tree, ValueAndGradient

__all__ = ["Flat", "Past", "flat", "nothing_yet", "start"]


class Flat(NamedTuple):
    """An objective and the parameters it is at, in terms of vectors of all n parameters.

    x         (n,) the parameters, in the widest dtype among them and float32 at least
    evaluate  x (n,) -> ValueAndGradient(value (), aux, gradient (n,))
    ravel     tree like the parameters -> (n,)
    unravel   (n,) -> tree like the parameters
    """

    x: Array
    evaluate: Callable[[Array], ValueAndGradient]
    ravel: Callable[[Tree], Array]
    unravel: Callable[[Array], Tree]

    def reported(self, evaluation: ValueAndGradient) -> ValueAndGradient:
        """The evaluation with its gradient as a tree."""
        return evaluation._replace(gradient=self.unravel(evaluation.gradient))


class Past(NamedTuple):
    """What a Method remembers of its evaluations: the one at the parameters, and how many it made so far."""

    evaluation: ValueAndGradient  # gradient (n,)
    evaluations: Array  # () int32; 0: nothing is known yet

    def then(self, evaluation: ValueAndGradient, evaluations: Array | int) -> Past:
        """After this many further evaluations, the last of them at the new parameters."""
        return Past(evaluation, self.evaluations + evaluations)


def flat(objective: Objective | Callable, params: Tree) -> Flat:
    """The objective at params, in terms of vectors."""
    leaves, structure = jax.tree.flatten(params)
    dtype = max([jnp.dtype(jnp.float32), *(leaf.dtype for leaf in leaves)], key=lambda d: jnp.finfo(d).bits)
    ends = list(itertools.accumulate(math.prod(leaf.shape) for leaf in leaves))

    def ravel(tree):
        pieces = [a.astype(dtype).reshape(-1) for a in structure.flatten_up_to(tree)]
        return jnp.concatenate(pieces) if pieces else jnp.zeros(0, dtype)

    def unravel(x):
        pieces = jnp.split(x, ends[:-1]) if leaves else []
        arrays = [p.reshape(leaf.shape).astype(leaf.dtype) for p, leaf in zip(pieces, leaves, strict=True)]
        return structure.unflatten(arrays)

    def evaluated(x):
        value, aux, gradient = evaluate(objective, unravel(x))
        return ValueAndGradient(value.astype(dtype), aux, ravel(gradient))

    return Flat(ravel(params), evaluated, ravel, unravel)


def nothing_yet(space: Flat) -> Past:
    """The past before the first step: zeros in the shape of an evaluation."""
    shapes = jax.eval_shape(space.evaluate, space.x)
    zeros = jax.tree.map(lambda a: jnp.zeros(a.shape, a.dtype), shapes)
    return Past(zeros, jnp.zeros((), jnp.int32))


def start(space: Flat, past: Past, forget: bool = False) -> Past:
    """The past with the evaluation at the parameters: the remembered one, or the first.

    forget   whether the objective is another one than that of the step before, so that nothing is remembered

    A loop of at most one pass instead of a branch: under vmap a branch computes both sides at every step, while
    a loop whose predicate is false for all members does not run.
    """
    unknown = jnp.array(True) if forget else past.evaluations == 0

    def body(carry):
        return past.then(space.evaluate(space.x), 1), jnp.array(False)

    return lax.while_loop(lambda carry: carry[1], body, (past, unknown))[0]
