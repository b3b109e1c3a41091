"""One evaluation of an objective with its gradient."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import Array, lax

from nnrun.types import Objective, Tree, ValueAndGradient

__all__ = ["evaluate"]


def evaluate(objective: Objective | Callable, params: Tree) -> ValueAndGradient:
    """Value, aux and gradient at params; an Objective has its own way to the gradient (micro-batches)."""
    is_objective = isinstance(objective, Objective)
    gradient_of = objective.gradient if is_objective else jax.value_and_grad(objective, has_aux=True)
    (value, aux), gradient = gradient_of(params)
    return jax.tree.map(_strong, ValueAndGradient(value, aux, gradient))


def _strong(a: Array) -> Array:
    # Python scalars and what is computed of them alone have a weak type, which a loop's carry must not gain.
    return lax.convert_element_type(a, jnp.result_type(a))
