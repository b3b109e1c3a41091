from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
from jax import lax

from nnrun.amounts import with_digits
from nnrun.optimizer._flat import Past, flat, nothing_yet, start
from nnrun.optimizer._krylov import hessian_product
from nnrun.options import Count, Rate
from nnrun.types import Method

__all__ = ["newton"]

_ROWS = 32  # rows of the Hessian that are computed at once: their activations are in memory together


class _Memory(NamedTuple):
    past: Past


def newton(damping: Rate = 0.0, max_parameters: Count = 4096, allow_noise: bool = False) -> Method:
    """Newton's method with the exact Hessian, for small problems; full batch only.

    x ← x − (∇²f + λI)⁻¹ ∇f

    The minimum of the parabola that has the value, slope and curvature of f at x.  There is no learning rate: the
    curvature says how far the minimum is, and near a minimum the correct digits double at every step.  It goes
    to where the slope vanishes, be it a saddle or a maximum, and it may go up: start near the minimum, or take
    `newton_cg`, which searches along its step.  Where the Hessian is singular (the softmax's, without a penalty)
    the step is not finite or not sensible; λ > 0 helps.

    damping          λ ≥ 0
    max_parameters   the most parameters for which the Hessian is formed, 1, 2, ...
    allow_noise      whether to accept mini-batches and noise, to watch it fail: the step goes all the way to the
                     minimum of one batch
    State: the last gradient; within a step the Hessian and its factors, 8 bytes a pair of parameters in float32.
    Lecture: no learning rate, but a net of a million parameters has a Hessian of 10¹² entries.
    Raises ValueError, with the memory needed, if there are more than max_parameters parameters.
    Source: Nocedal & Wright 2006, section 3.3.
    """

    def init(objective, params):
        space = flat(objective, params)
        _check_size(space.x.size, max_parameters, space.x.dtype.itemsize)
        return _Memory(nothing_yet(space))

    def step(objective, params, memory):
        space = flat(objective, params)
        past = start(space, memory.past, forget=allow_noise)
        product = hessian_product(lambda params: objective(params)[0], params, space)
        unit = jnp.eye(space.x.size, dtype=space.x.dtype)
        H = lax.map(product, unit, batch_size=_ROWS) + jnp.asarray(damping, unit.dtype) * unit
        x = space.x - jnp.linalg.solve(H, past.evaluation.gradient)
        evaluation = space.evaluate(x)
        return space.unravel(x), _Memory(past.then(evaluation, 1)), space.reported(evaluation)

    return Method(init, step, exact=not allow_noise, divides_by_curvature=True)


def _check_size(n: int, limit: int, itemsize: int) -> None:
    if n > limit:
        memory = 2 * n**2 * itemsize / 2**30
        raise ValueError(
            f"the Hessian of {n:,} parameters and its factors need {with_digits(memory)} GiB, and max_parameters is "
            f"{limit:,}; use newton_cg or lbfgs, which do not form it"
        )
