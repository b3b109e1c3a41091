"""Any gradient transform as a Method: one evaluation of value and gradient a step."""

from __future__ import annotations

from collections.abc import Callable

import optax
from jax import Array

from nnrun.optimizer._evaluate import evaluate
from nnrun.types import Method, Tree, ValueAndGradient

__all__ = ["first_order", "updated"]


def first_order(transform: optax.GradientTransformation) -> Method:
    """The Method that evaluates the gradient at the parameters and adds the transform's update."""

    def step(objective, params, memory):
        evaluation = evaluate(objective, params)
        update, memory = updated(transform, objective, evaluation, memory, params)
        return optax.apply_updates(params, update), memory, evaluation

    return Method(lambda objective, params: transform.init(params), step)


def updated(
    transform: optax.GradientTransformation,
    objective: Callable[[Tree], tuple[Array, Tree]],
    evaluation: ValueAndGradient,
    memory: Tree,
    params: Tree,
) -> tuple[Tree, Tree]:
    """The transform's update for the gradient of an evaluation, and its new memory.

    Transforms that ask for it get the value too, and may evaluate it elsewhere (optax's line searches).
    """
    extra = {"value": evaluation.value, "grad": evaluation.gradient, "value_fn": lambda x: objective(x)[0]}
    extended = optax.with_extra_args_support(transform)
    return extended.update(evaluation.gradient, memory, params, **extra)
