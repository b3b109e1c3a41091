"""Parameters as one vector, which is how the books write second-order methods."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from nnrun.optimizer._evaluate import evaluate
from nnrun.types import Evaluation, Objective, Tree

__all__ = ["Flat", "flat"]


class Flat(NamedTuple):
    """An objective and the parameters it is at, as a function of a vector.

    x         (n,) the parameters, in the widest dtype among them and float32 at least
    evaluate  x (n,) -> Evaluation(value (), aux, gradient (n,))
    ravel     tree like the parameters -> (n,)
    unravel   (n,) -> tree like the parameters
    """

    x: Array
    evaluate: Callable[[Array], Evaluation]
    ravel: Callable[[Tree], Array]
    unravel: Callable[[Array], Tree]


def flat(objective: Objective | Callable, params: Tree) -> Flat:
    """The objective as a function of one vector."""
    leaves, structure = jax.tree.flatten(params)
    dtype = max([jnp.dtype(jnp.float32), *(leaf.dtype for leaf in leaves)], key=lambda d: jnp.finfo(d).bits)
    ends = [sum(math.prod(leaf.shape) for leaf in leaves[: i + 1]) for i in range(len(leaves))]

    def ravel(tree):
        pieces = [a.astype(dtype).reshape(-1) for a in structure.flatten_up_to(tree)]
        return jnp.concatenate(pieces) if pieces else jnp.zeros(0, dtype)

    def unravel(x):
        pieces = jnp.split(x, ends[:-1]) if leaves else []
        return structure.unflatten(
            [piece.reshape(leaf.shape).astype(leaf.dtype) for piece, leaf in zip(pieces, leaves, strict=True)]
        )

    def evaluated(x):
        value, aux, gradient = evaluate(objective, unravel(x))
        return Evaluation(value.astype(dtype), aux, ravel(gradient))

    return Flat(ravel(params), evaluated, ravel, unravel)
