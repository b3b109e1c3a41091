from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from nnrun.optimizer._flat import Flat, Past, flat, nothing_yet, start
from nnrun.optimizer._krylov import Product, conjugate_gradients, gauss_newton_product, hessian_product
from nnrun.options import Count, Positive
from nnrun.types import Method, Objective, Tree, ValueAndGradient

__all__ = ["Damping", "gauss_newton"]


class Damping(NamedTuple):
    """λ, and the factor ν by which the next rejected step raises it."""

    strength: Array  # ()
    growth: Array  # ()


class _Memory(NamedTuple):
    past: Past
    products: Array  # () int32: products with the matrix made so far
    damping: Damping


def gauss_newton(damping: Positive = 1e-3, max_cg: Count = 100, allow_noise: bool = False) -> Method:
    """Gauss-Newton: Newton's step with a curvature that is never negative; full batch only.

    (G + λI) p = −∇f,  G = JᵀHJ + P,  x ← x + p if f falls

    J is the derivative of the model's outputs, H the Hessian of the loss at the outputs, P that of the penalties.
    The curvature of the model itself is left out, so that G ≥ 0 for a convex loss; for squared errors this is the
    method of Gauss, with λ that of Levenberg and Marquardt.  Conjugate gradients solve it from products Gv, until
    ‖residual‖ < min(½, √‖∇f‖)‖∇f‖.  The gain ρ, the decrease over that which the parabola predicted, says how
    far to trust it:

    ρ > 0: λ ← λ max(⅓, 1 − (2ρ − 1)³), ν ← 2;  else x stays, λ ← λν, ν ← 2ν

    An objective that is a plain function, without outputs, has G = ∇²f instead.

    damping       λ > 0 at the first step
    max_cg        products a step, 1, 2, ...
    allow_noise   whether to accept mini-batches and noise, to watch it fail: the gain is then that on one batch
    State: 4 bytes a parameter (the gradient).
    Use: least squares and other losses that are convex in the outputs; the fewest steps where they end near 0.
    Source: Levenberg 1944; Marquardt 1963; Nielsen 1999 (the rule for λ); Schraudolph 2002 (losses but squares).
    """

    def init(objective, params):
        space = flat(objective, params)
        dtype, zero = space.x.dtype, jnp.zeros((), jnp.int32)
        return _Memory(nothing_yet(space), zero, Damping(jnp.asarray(damping, dtype), jnp.full((), 2, dtype)))

    def step(objective, params, memory):
        space = flat(objective, params)
        past = start(space, memory.past, forget=allow_noise)
        before, lam = past.evaluation, memory.damping.strength
        product, g = _curvature(objective, params, space), before.gradient
        p, products = conjugate_gradients(lambda v: product(v) + lam * v, g, max_cg)
        after = space.evaluate(space.x + p)
        predicted = (lam * p - g) @ p / 2  # −(gᵀp + ½ pᵀGp): conjugate gradients end with a residual ⟂ p
        rho, accepted = _gain(before, after, predicted)
        x, evaluation = jax.tree.map(
            lambda new, old: jnp.where(accepted, new, old), (space.x + p, after), (space.x, before)
        )
        damping = _adapted(memory.damping, rho, accepted)
        memory = _Memory(past.then(evaluation, 1), memory.products + products, damping)
        return space.unravel(x), memory, space.reported(evaluation)

    return Method(init, step, exact=not allow_noise, divides_by_curvature=True)


def _curvature(objective: Objective | Callable, params: Tree, space: Flat) -> Product:
    if isinstance(objective, Objective):
        return gauss_newton_product(objective, params, space)
    return hessian_product(lambda params: objective(params)[0], params, space)


def _gain(before: ValueAndGradient, after: ValueAndGradient, predicted: Array) -> tuple[Array, Array]:
    """ρ, and whether the step is accepted.

    A decrease that rounding would hide cannot be measured: then the gradient must have become smaller.
    """
    rounding = 4 * float(jnp.finfo(before.value.dtype).eps) * jnp.abs(before.value)
    fell = before.value - after.value
    smaller = jnp.linalg.norm(after.gradient) < jnp.linalg.norm(before.gradient)
    hidden = jnp.where((fell >= -rounding) & smaller, 1, -1)
    rho = jnp.where(predicted > rounding, fell / predicted, hidden)
    return rho, (rho > 0) & jnp.isfinite(after.gradient).all()


def _adapted(damping: Damping, rho: Array, accepted: Array) -> Damping:
    lam, nu = damping
    eps = float(jnp.finfo(lam.dtype).eps)
    lam = jnp.where(accepted, lam * jnp.maximum(1 / 3, 1 - (2 * rho - 1) ** 3), lam * nu)
    nu = jnp.where(accepted, 2, 2 * nu)
    return Damping(jnp.clip(lam, eps**2, 1 / eps), jnp.minimum(nu, 1 / eps))
