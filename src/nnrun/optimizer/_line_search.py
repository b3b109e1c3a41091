"""A step length that satisfies the strong Wolfe conditions.  Names: Nocedal & Wright 2006, chapter 3."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax

from nnrun.optimizer._flat import Flat
from nnrun.types import Tree, ValueAndGradient

__all__ = ["Accepted", "LineSearch", "Probe", "Wolfe", "line_search"]


class Wolfe(NamedTuple):
    """What is asked of a step length: f(x + αp) ≤ f(x) + c₁α ∇fᵀp and |∇f(x + αp)ᵀp| ≤ c₂|∇fᵀp|."""

    c1: Array | float = 1e-4
    c2: Array | float = 0.9
    limit: int = 20  # evaluations after which the lowest trial that decreases f enough will do


class Accepted(NamedTuple):
    """Where a line search ends."""

    alpha: Array  # () 0: no step goes down
    x: Array  # (n,)
    evaluation: ValueAndGradient  # at x
    evaluations: Array  # () int32: how many were made


class Probe(NamedTuple):
    """The objective along the line, φ(α) = f(x + αp)."""

    alpha: Array  # ()
    phi: Array  # ()
    dphi: Array  # () φ'(α) = ∇f(x + αp)ᵀp


class LineSearch(NamedTuple):
    """The state between two trials."""

    low: Probe  # the lowest of the trials that decrease f enough; α = 0 at first
    high: Probe  # the other end of an interval that holds good step lengths; α = ∞ until a trial was too long
    alpha: Array  # () the next trial
    accepted: Accepted  # at `low`
    done: Array  # ()


def line_search(
    space: Flat,
    p: Array,
    start: ValueAndGradient,
    alpha: Array | float = 1.0,
    wolfe: Wolfe = Wolfe(),  # noqa: B008 (immutable)
    idle: Array | bool = False,
) -> Accepted:
    """Looks along x + αp for a step length that satisfies the strong Wolfe conditions.

    p       (n,) must go down, ∇fᵀp < 0, else no step is found
    start   the evaluation at x
    alpha   the first trial
    idle    whether not to search at all

    Algorithms 3.5 (bracketing) and 3.6 (zoom) are one loop with one evaluation a pass: as long as the interval
    has no upper end, high.alpha = ∞, the cases of zoom are those of bracketing.  So no member of a population
    waits in one phase for the others.  A value or a slope that is not finite counts as +∞.
    """
    zero = Probe(jnp.zeros_like(start.value), start.value, start.gradient @ p)
    conditions = _conditions(zero, wolfe)

    def body(search: LineSearch) -> LineSearch:
        x = space.x + search.alpha * p
        evaluation = space.evaluate(x)
        probe = _probe(search.alpha, evaluation, p)
        decreases, flat = conditions(probe)
        done = decreases & flat
        better = done | (decreases & (probe.phi < search.low.phi))
        evaluations = search.accepted.evaluations + 1
        accepted = _choose(better, Accepted(probe.alpha, x, evaluation, evaluations), search.accepted)
        low, high = _narrow(search, probe, better)
        return LineSearch(
            low, high, _next(search.low, low, high), accepted._replace(evaluations=evaluations), done
        )

    def goes_on(search: LineSearch) -> Array:
        return ~search.done & (search.accepted.evaluations < wolfe.limit)

    far = jax.tree.map(lambda a: jnp.full_like(a, jnp.inf), zero)
    nowhere = Accepted(zero.alpha, space.x, start, jnp.zeros((), jnp.int32))
    done = ~(zero.dphi < 0) | idle
    first = LineSearch(zero, far, jnp.asarray(alpha, zero.phi.dtype), nowhere, done)
    return lax.while_loop(goes_on, body, first).accepted


def _conditions(zero: Probe, wolfe: Wolfe) -> Callable[[Probe], tuple[Array, Array]]:
    """Trial -> whether it decreases f enough, whether its slope is flat enough.

    Where the values differ by no more than rounding the slopes alone decide, which is the same for a parabola:
    the approximate Wolfe conditions of Hager & Zhang 2005, section 4.
    """
    c1, c2 = (jnp.asarray(c, zero.phi.dtype) for c in (wolfe.c1, wolfe.c2))
    rounding = 4 * float(jnp.finfo(zero.phi.dtype).eps) * jnp.abs(zero.phi)

    def conditions(probe: Probe) -> tuple[Array, Array]:
        armijo = probe.phi <= zero.phi + c1 * probe.alpha * zero.dphi
        same = jnp.abs(probe.phi - zero.phi) <= rounding
        approximate = same & (probe.dphi <= (2 * c1 - 1) * zero.dphi)
        return armijo | approximate, jnp.abs(probe.dphi) <= -c2 * zero.dphi

    return conditions


def _probe(alpha: Array, evaluation: ValueAndGradient, p: Array) -> Probe:
    phi, dphi = evaluation.value, evaluation.gradient @ p
    finite = jnp.isfinite(phi) & jnp.isfinite(dphi)
    return Probe(alpha, jnp.where(finite, phi, jnp.inf), jnp.where(finite, dphi, jnp.inf))


def _narrow(search: LineSearch, probe: Probe, better: Array) -> tuple[Probe, Probe]:
    """The smaller interval: its low end is the lowest trial, and φ falls from there into the interval."""
    low, high = search.low, search.high
    turns = probe.dphi * (high.alpha - low.alpha) >= 0
    return _choose(better, probe, low), _choose(better, _choose(turns, low, high), probe)


def _next(before: Probe, low: Probe, high: Probe) -> Array:
    """The next trial: the cubic's minimum, kept well inside the interval, or beyond its low end if it has no other."""
    bracketed = jnp.isfinite(high.alpha)
    span = jnp.where(bracketed, high.alpha - low.alpha, low.alpha - before.alpha)
    near = low.alpha + jnp.where(bracketed, 0.1, 1.1) * span
    far = low.alpha + jnp.where(bracketed, 0.9, 4.0) * span
    minimum = _cubic(_choose(bracketed, high, before), low)
    # Without a minimum: near, as φ is infinite at the high end; or far, as φ falls and falls.
    usable = jnp.isfinite(minimum) & (bracketed | (minimum > low.alpha))
    probe = jnp.where(usable, minimum, jnp.where(bracketed, near, far))
    return jnp.clip(probe, jnp.minimum(near, far), jnp.maximum(near, far))


def _cubic(a: Probe, b: Probe) -> Array:
    """The minimum of the cubic through two trials and their slopes, equation 3.59; NaN if it has none."""
    d1 = a.dphi + b.dphi - 3 * (a.phi - b.phi) / (a.alpha - b.alpha)
    d2 = jnp.sign(b.alpha - a.alpha) * jnp.sqrt(d1**2 - a.dphi * b.dphi)
    return b.alpha - (b.alpha - a.alpha) * (b.dphi + d2 - d1) / (b.dphi - a.dphi + 2 * d2)


def _choose(condition: Array, yes: Tree, no: Tree) -> Tree:
    return jax.tree.map(lambda a, b: jnp.where(condition, a, b), yes, no)
