"""Any gradient transform as a Method: one evaluation of value and gradient a step."""

from __future__ import annotations

import jax
import optax

from nnrun.types import Evaluation, Method

__all__ = ["first_order"]


def first_order(transform: optax.GradientTransformation) -> Method:
    """The Method that evaluates the gradient at the parameters and adds the transform's update."""

    def step(objective, params, memory):
        (value, aux), gradient = jax.value_and_grad(objective, has_aux=True)(params)
        update, memory = transform.update(gradient, memory, params)
        return optax.apply_updates(params, update), memory, Evaluation(value, aux, gradient)

    return Method(lambda objective, params: transform.init(params), step)
