"""Any gradient transform as a Method: one evaluation of value and gradient a step."""

from __future__ import annotations

import optax

from nnrun.optimizer._evaluate import evaluate
from nnrun.types import Method

__all__ = ["first_order"]


def first_order(transform: optax.GradientTransformation) -> Method:
    """The Method that evaluates the gradient at the parameters and adds the transform's update.

    Transforms that ask for it are told the value too, and may evaluate it elsewhere (optax's line searches).
    """
    extended = optax.with_extra_args_support(transform)

    def step(objective, params, memory):
        evaluation = evaluate(objective, params)
        known = {
            "value": evaluation.value,
            "grad": evaluation.gradient,
            "value_fn": lambda x: objective(x)[0],
        }
        update, memory = extended.update(evaluation.gradient, memory, params, **known)
        return optax.apply_updates(params, update), memory, evaluation

    return Method(lambda objective, params: transform.init(params), step)
