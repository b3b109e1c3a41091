from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from nnrun.optimizer._flat import Flat, Past, flat, nothing_yet, start
from nnrun.optimizer._krylov import Product, conjugate_gradients, gauss_newton_product, hessian_product
from nnrun.options import Count, Positive
from nnrun.types import Evaluation, Method, Objective

__all__ = ["gauss_newton"]


class Damping(NamedTuple):
    """λ, and the factor ν by which the next rejected step raises it."""

    strength: Array  # ()
    growth: Array  # ()


class Memory(NamedTuple):
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
    Use: least squares and other losses that are convex in the outputs; where it works it needs the fewest steps.
    Source: Levenberg 1944; Marquardt 1963; Nielsen 1999 (the rule for λ); Schraudolph 2002 (losses but squares).
    """

    def init(objective, params):
        space = flat(objective, params)
        dtype, zero = space.x.dtype, jnp.zeros((), jnp.int32)
        return Memory(nothing_yet(space), zero, Damping(jnp.asarray(damping, dtype), jnp.full((), 2, dtype)))

    def step(objective, params, memory):
        space = flat(objective, params)
        past = start(space, memory.past, forget=allow_noise)
        before, lam = past.evaluation, memory.damping.strength
        g = before.gradient
        product = _curvature(objective, params, space)
        size = jnp.linalg.norm(g)
        solution = conjugate_gradients(
            lambda v: product(v) + lam * v, g, jnp.minimum(0.5, jnp.sqrt(size)) * size, max_cg
        )
        p = solution.p
        x = space.x + p
        after = space.evaluate(x)
        gain, accepted = _gain(before, after, (lam * p - g) @ p / 2)
        x, evaluation = jax.tree.map(
            lambda new, old: jnp.where(accepted, new, old), (x, after), (space.x, before)
        )
        memory = Memory(
            past.then(evaluation, 1),
            memory.products + solution.products,
            _adapted(memory.damping, gain, accepted),
        )
        return space.unravel(x), memory, space.reported(evaluation)

    return Method(init, step, exact=not allow_noise)


def _curvature(objective, params, space: Flat) -> Product:
    if isinstance(objective, Objective):
        return gauss_newton_product(objective, params, space)
    return hessian_product(lambda params: objective(params)[0], params, space)


def _gain(before: Evaluation, after: Evaluation, predicted: Array) -> tuple[Array, Array]:
    """ρ, the decrease over the predicted one, and whether the step is accepted."""
    eps = float(jnp.finfo(before.value.dtype).eps)
    rounding = 4 * eps * jnp.abs(before.value)
    fell = before.value - after.value
    flatter = jnp.linalg.norm(after.gradient) < jnp.linalg.norm(before.gradient)
    blind = predicted <= rounding
    gain = jnp.where(blind, jnp.where((fell >= -rounding) & flatter, 1, -1), fell / predicted)
    return gain, (gain > 0) & jnp.isfinite(after.gradient).all()


def _adapted(damping: Damping, gain: Array, accepted: Array) -> Damping:
    lam, nu = damping
    eps = float(jnp.finfo(lam.dtype).eps)
    lam = jnp.where(accepted, lam * jnp.maximum(1 / 3, 1 - (2 * gain - 1) ** 3), lam * nu)
    return Damping(jnp.clip(lam, eps**2, 1 / eps**2), jnp.where(accepted, 2, jnp.minimum(2 * nu, 1 / eps)))
