from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
from jax import Array

from nnrun.optimizer._flat import Past, flat, nothing_yet, start
from nnrun.optimizer._krylov import conjugate_gradients, hessian_product
from nnrun.optimizer._line_search import Wolfe, line_search
from nnrun.options import Count, Rate
from nnrun.types import Method

__all__ = ["newton_cg"]


class _Memory(NamedTuple):
    past: Past
    products: Array  # () int32: Hessian-vector products made so far
    failures: Array  # () int32: line searches in a row that found no way down


def newton_cg(
    damping: Rate = 0.0,
    max_cg: Count = 100,
    max_line_search: Count = 20,
    allow_noise: bool = False,
) -> Method:
    """Newton-CG: Newton's step without the Hessian, from products with it; full batch only.

    Conjugate gradients solve (∇²f + λI) p = −∇f until ‖residual‖ < min(½, √‖∇f‖)‖∇f‖,  x ← x + αp

    A product ∇²f v costs about two gradients and needs no matrix: it is one more pass backwards through the
    gradient, which is linearized once a step.  Where a direction d with dᵀ(∇²f + λI) d ≤ 0 turns up, p is what
    has been found so far, or −∇f if that is nothing.  So p always goes down, and no saddle attracts, as it does
    in `newton`.  α satisfies the strong Wolfe conditions (c₁ = 1e-4, c₂ = 0.9); α = 1 is tried first.  Where no
    α goes down, −∇f is next; where that does not either, the parameters are at a minimum to rounding and stay.

    damping           λ ≥ 0: shortens the step where the curvature is small
    max_cg            products a step, 1, 2, ...
    max_line_search   evaluations after which a line search takes the best it has
    allow_noise       whether to accept mini-batches and noise, to watch it fail: the step is then exact for the
                      batch, and wrong for the function
    State: 4 bytes a parameter (the gradient).
    Lecture: Newton's step needs no learning rate, but the Hessian of a deep net is too large: here it is not formed.
    Source: Nocedal & Wright 2006, Algorithm 7.1.
    """

    def init(objective, params):
        zero = jnp.zeros((), jnp.int32)
        return _Memory(nothing_yet(flat(objective, params)), zero, zero)

    def step(objective, params, memory):
        space = flat(objective, params)
        past = start(space, memory.past, forget=allow_noise)
        g = past.evaluation.gradient
        failures = jnp.where(allow_noise, 0, memory.failures)
        product = hessian_product(lambda params: objective(params)[0], params, space)
        solution = conjugate_gradients(
            lambda v: product(v) + jnp.asarray(damping, v.dtype) * v, g, jnp.where(failures > 0, 0, max_cg)
        )
        known = solution.p @ g < 0
        p = jnp.where(known, solution.p, -g)
        alpha = jnp.where(known, 1, jnp.minimum(1, 1 / jnp.linalg.norm(g)))
        accepted = line_search(space, p, past.evaluation, alpha, Wolfe(limit=max_line_search), failures > 1)
        failures = jnp.where(accepted.alpha > 0, 0, failures + 1)
        past = past.then(accepted.evaluation, accepted.evaluations)
        memory = _Memory(past, memory.products + solution.products, failures)
        return space.unravel(accepted.x), memory, space.reported(accepted.evaluation)

    return Method(init, step, exact=not allow_noise, divides_by_curvature=True)
