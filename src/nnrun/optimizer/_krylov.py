"""Products with second derivatives, in reverse mode alone, and conjugate gradients on them.

Names: Nocedal & Wright 2006, chapter 7.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax

from nnrun.optimizer._flat import Flat
from nnrun.types import Objective, Tree

__all__ = ["Product", "Solution", "conjugate_gradients", "gauss_newton_product", "hessian_product"]

Product = Callable[[Array], Array]  # v (n,) -> Bv (n,)


class Solution(NamedTuple):
    """Where conjugate gradients end."""

    p: Array  # (n,)
    products: Array  # () int32: how many were made


def hessian_product(function: Callable[[Tree], Array], params: Tree, space: Flat) -> Product:
    """v ↦ ∇²f v, from one linearization of ∇f.

    The derivative of ∇f pulls back, v ↦ (∇²f)ᵀv; the Hessian is symmetric, so that is the product.  Pushing
    forward would cost less, but convolutions have no forward mode.
    """
    _, pull = jax.vjp(jax.grad(function), params)
    return lambda v: space.ravel(pull(space.unravel(v))[0])


def gauss_newton_product(objective: Objective, params: Tree, space: Flat) -> Product:
    """v ↦ (JᵀH J + P) v, J the outputs' derivative, H the loss's Hessian at the outputs, P the penalty's.

    v ↦ Jv is the transpose of the linear u ↦ Jᵀu, that is, the pull-back of the pull-back.
    """
    outputs, pull = jax.vjp(objective.outputs_of, params)
    _, push = jax.vjp(lambda u: pull(u)[0], jnp.zeros_like(outputs))
    _, bend = jax.vjp(jax.grad(objective.value_of), outputs)
    penalty = hessian_product(objective.penalty_of, params, space)

    def product(v: Array) -> Array:
        (Jv,) = push(space.unravel(v))
        (HJv,) = bend(Jv)
        (JHJv,) = pull(HJv)
        return space.ravel(JHJv) + penalty(v)

    return product


def conjugate_gradients(product: Product, g: Array, limit: Array | int) -> Solution:
    """Minimises gᵀp + ½ pᵀBp from p = 0, at most `limit` products: the inner loop of Algorithm 7.1.

    It ends where the residual r = Bp + g is small, ‖r‖ < min(½, √‖g‖)‖g‖, so that far from the minimum no work is
    wasted and near it the steps are Newton's; and at a direction d with dᵀBd ≤ 0, with p so far, which may be 0.
    """
    size = jnp.linalg.norm(g)
    tolerance = jnp.minimum(0.5, jnp.sqrt(size)) * size

    def body(carry):
        p, r, d, rr, _, j = carry
        Bd = product(d)
        curvature = d @ Bd
        convex = curvature > 0
        alpha = jnp.where(convex, rr / curvature, 0)
        p, r = p + alpha * d, r + jnp.where(convex, alpha * Bd, 0)
        beta = (r @ r) / rr
        return p, r, beta * d - r, r @ r, convex, j + 1

    def goes_on(carry):
        _, _, _, rr, convex, j = carry
        return convex & (rr > 0) & (jnp.sqrt(rr) >= tolerance) & (j < limit)

    start = (jnp.zeros_like(g), g, -g, g @ g, jnp.array(True), jnp.zeros((), jnp.int32))
    p, _, _, _, _, j = lax.while_loop(goes_on, body, start)
    return Solution(p, j)
