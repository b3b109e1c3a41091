from __future__ import annotations

import jax.numpy as jnp
from jax import lax

from nnrun.optimizer._flat import flat, nothing_yet, start
from nnrun.optimizer._krylov import hessian_product
from nnrun.options import Count, Rate
from nnrun.types import Method

__all__ = ["newton"]

_ROWS = 32  # rows of the Hessian that are computed at once: their activations are in memory together


def newton(damping: Rate = 0.0, max_parameters: Count = 4096, allow_noise: bool = False) -> Method:
    """Newton's method."""

    def init(objective, params):
        space = flat(objective, params)
        _check_size(space.x.size, max_parameters, space.x.dtype.itemsize)
        return nothing_yet(space)

    def step(objective, params, past):
        space = flat(objective, params)
        past = start(space, past, forget=allow_noise)
        product = hessian_product(lambda params: objective(params)[0], params, space)
        unit = jnp.eye(space.x.size, dtype=space.x.dtype)
        H = lax.map(product, unit, batch_size=_ROWS) + jnp.asarray(damping, unit.dtype) * unit
        x = space.x - jnp.linalg.solve(H, past.evaluation.gradient)
        evaluation = space.evaluate(x)
        return space.unravel(x), past.then(evaluation, 1), space.reported(evaluation)

    return Method(init, step, exact=not allow_noise)
