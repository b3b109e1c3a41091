from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
from jax import Array, lax

from nnrun.optimizer._flat import Past, flat, nothing_yet, start
from nnrun.optimizer._line_search import Wolfe, line_search
from nnrun.options import Count, Fraction
from nnrun.types import Method

__all__ = ["Pairs", "lbfgs", "two_loop"]


class Pairs(NamedTuple):
    """The last m pairs of steps and changes of the gradient, in a ring; ρ = 0 where there is none yet."""

    S: Array  # (m, n) sₖ = xₖ₊₁ − xₖ
    Y: Array  # (m, n) yₖ = ∇fₖ₊₁ − ∇fₖ
    rho: Array  # (m,) ρₖ = 1 / sₖᵀyₖ
    gamma: Array  # () γ = sᵀy / yᵀy of the newest
    stored: Array  # () int32: how many so far; the newest is in row (stored − 1) mod m


class _Memory(NamedTuple):
    pairs: Pairs
    past: Past
    failures: Array  # () int32: line searches in a row that found no way down


def lbfgs(
    history: Count = 10,
    max_line_search: Count = 20,
    c1: Fraction = 1e-4,
    c2: Fraction = 0.9,
    allow_noise: bool = False,
) -> Method:
    """L-BFGS: Newton's step with a curvature learnt from the last gradients; full batch only.

    p = −H ∇f,  x ← x + αp,  α by a line search: f(x + αp) ≤ f + c₁α ∇fᵀp,  |∇f(x + αp)ᵀp| ≤ c₂|∇fᵀp|

    H, the inverse of the Hessian as the last m pairs s = x' − x, y = ∇f' − ∇f know it, is never formed: the
    two-loop recursion multiplies by it, starting from γI, γ = sᵀy / yᵀy.  There is no learning rate: α = 1 is
    tried first and mostly taken, so that a step costs little more than one gradient.  Pairs whose sᵀy is not
    positive are left out.  Where no α goes down, the pairs are forgotten; where even −∇f does not, the
    parameters are at a minimum to rounding and stay.

    history           m = 1, 2, ...: pairs remembered; more are better and cost memory
    max_line_search   evaluations after which a line search takes the best it has
    c1, c2            0 < c₁ < c₂ < 1: the strong Wolfe conditions
    allow_noise       whether to accept mini-batches and noise, to watch it fail: y is then the difference of
                      gradients at noisy points, and the line search believes a value that the next batch denies
    State: 84 bytes a parameter (8 for each pair of the history, 4 for the gradient).
    Lecture: works very well in full batch, deterministic mode; does not transfer well to mini-batches.
    optax: another line search, else the same; torch: without line search by default.
    Source: Nocedal & Wright 2006, Algorithms 7.4 and 7.5; Liu & Nocedal 1989.
    """

    def init(objective, params):
        space = flat(objective, params)
        rows = jnp.zeros((history, space.x.size), space.x.dtype)
        zero = jnp.zeros((), jnp.int32)
        pairs = Pairs(rows, rows, rows[:, 0], jnp.ones_like(rows[0, 0]), zero)
        return _Memory(pairs, nothing_yet(space), zero)

    def step(objective, params, memory):
        space = flat(objective, params)
        past = start(space, memory.past, forget=allow_noise)
        pairs, g = memory.pairs, past.evaluation.gradient
        p = -two_loop(pairs, g)
        known = (pairs.stored > 0) & (p @ g < 0)
        p = jnp.where(known, p, -g)
        alpha = jnp.where(known, 1, jnp.minimum(1, 1 / jnp.linalg.norm(g)))
        stuck = (memory.failures > 1) & (not allow_noise)
        accepted = line_search(space, p, past.evaluation, alpha, Wolfe(c1, c2, max_line_search), stuck)
        failed = accepted.alpha == 0
        pairs = _with(pairs, accepted.x - space.x, accepted.evaluation.gradient - g)
        memory = _Memory(
            _without(pairs, failed),
            past.then(accepted.evaluation, accepted.evaluations),
            jnp.where(failed, memory.failures + 1, 0),
        )
        return space.unravel(accepted.x), memory, space.reported(accepted.evaluation)

    return Method(init, step, exact=not allow_noise)


def two_loop(pairs: Pairs, q: Array) -> Array:
    """Hq for q (n,): Algorithm 7.4, with H⁰ = γI.  A missing pair has ρ = 0 and changes nothing."""
    S, Y, rho, gamma, stored = pairs
    m = len(rho)

    def back(j, carry):  # from the newest pair to the oldest
        q, alpha = carry
        i = (stored - 1 - j) % m
        alpha = alpha.at[i].set(rho[i] * (S[i] @ q))
        return q - alpha[i] * Y[i], alpha

    def forth(j, r):  # from the oldest to the newest
        i = (stored + j) % m
        beta = rho[i] * (Y[i] @ r)
        return r + (alpha[i] - beta) * S[i]

    q, alpha = lax.fori_loop(0, m, back, (q, jnp.zeros_like(rho)))
    return lax.fori_loop(0, m, forth, gamma * q)


def _with(pairs: Pairs, s: Array, y: Array) -> Pairs:
    """The pairs with a new one in place of the oldest, if its curvature is positive beyond rounding."""
    sy, yy = s @ y, y @ y
    good = (sy > float(jnp.finfo(s.dtype).eps) * yy) & jnp.isfinite(yy)
    i = pairs.stored % len(pairs.rho)

    def put(rows: Array, new: Array) -> Array:  # one row is written: the ring is not copied
        return rows.at[i].set(jnp.where(good, new, rows[i]))

    S, Y, rho = put(pairs.S, s), put(pairs.Y, y), put(pairs.rho, 1 / sy)
    return Pairs(S, Y, rho, jnp.where(good, sy / yy, pairs.gamma), pairs.stored + good.astype(jnp.int32))


def _without(pairs: Pairs, forget: Array) -> Pairs:
    """No pairs, where they are to be forgotten."""
    return pairs._replace(rho=jnp.where(forget, 0, pairs.rho), stored=jnp.where(forget, 0, pairs.stored))
