"""One evaluation of an objective with its gradient, and the evaluation that a Method remembers."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import Array, lax

from nnrun.types import Evaluation, Objective, Tree

__all__ = ["blank", "evaluate", "known"]


def evaluate(objective: Objective | Callable, params: Tree) -> Evaluation:
    """Value, aux and gradient at params; an Objective has its own way to the gradient (micro-batches)."""
    own = isinstance(objective, Objective)
    gradient_of = objective.gradient if own else jax.value_and_grad(objective, has_aux=True)
    (value, aux), gradient = gradient_of(params)
    return jax.tree.map(_strong, Evaluation(value, aux, gradient))


def blank(evaluated: Callable[[Array], Evaluation], x: Array) -> Evaluation:
    """Zeros in the shape of an evaluation: what a memory holds before the first."""
    shape = jax.eval_shape(evaluated, x)
    return jax.tree.map(lambda a: jnp.zeros(a.shape, a.dtype), shape)


def known(
    evaluated: Callable[[Array], Evaluation], x: Array, remembered: Evaluation, is_known: Array | bool
) -> Evaluation:
    """The remembered evaluation, or a new one at x where there is none.

    A loop of at most one pass instead of a branch: under vmap a branch would compute both sides at every step,
    while a loop whose predicate is false for all members does not run.
    """
    start = (remembered, jnp.asarray(is_known))
    return lax.while_loop(lambda carry: ~carry[1], lambda _: (evaluated(x), jnp.array(True)), start)[0]


def _strong(a: Array) -> Array:
    # Python scalars and what is computed of them alone have a weak type, which a loop's carry must not gain.
    return lax.convert_element_type(a, jnp.result_type(a))
