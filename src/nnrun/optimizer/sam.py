from __future__ import annotations

from typing import Annotated, Any

import jax
import jax.numpy as jnp
import optax

from nnrun.optimizer._evaluate import evaluate
from nnrun.optimizer._first_order import updated
from nnrun.options import EntryMark, Positive
from nnrun.types import Method

__all__ = ["sam"]

Inner = Annotated[Any, EntryMark("optimizer")]


def sam(inner: Inner, radius: Positive = 0.05) -> Method:
    """SAM: follows the gradient at the worst point near by, towards flat minima.

    g = ∇f(x),  e = ρ g / ‖g‖,  x ← the step of `inner` for the gradient ∇f(x + e)

    inner    the optimizer whose step is taken, a block: {name: momentum, learning_rate: 0.1}
    radius   ρ > 0: how far away the gradient is taken
    Two gradients a step.  What is logged, and the statistics of batch norm, are those at x.
    State: that of inner
    Use: when the training loss goes to 0 and the test error matters; it costs twice the time.
    Source: Foret et al. 2021, "Sharpness-aware minimization", Algorithm 1.
    """

    def init(objective, params):
        del objective
        return inner.init(params)

    def step(objective, params, memory):
        evaluation = evaluate(objective, params)
        norm = optax.tree.norm(evaluation.gradient)
        scale = radius / jnp.maximum(norm, jnp.finfo(norm.dtype).tiny)
        worst = jax.tree.map(lambda x, g: x + scale.astype(x.dtype) * g, params, evaluation.gradient)
        update, memory = updated(inner, objective, evaluate(objective, worst), memory, params)
        return optax.apply_updates(params, update), memory, evaluation

    return Method(init, step)
