"""A step length that satisfies the strong Wolfe conditions.  Names: Nocedal & Wright 2006, chapter 3."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax

from nnrun.types import Evaluation

__all__ = ["Found", "line_search"]


class Trial(NamedTuple):
    """The objective along the line, φ(α) = f(x + αp)."""

    alpha: Array  # ()
    phi: Array  # ()
    dphi: Array  # () φ'(α) = ∇f(x + αp)ᵀp


class Found(NamedTuple):
    """Where a line search ends."""

    alpha: Array  # () 0 if no step goes down
    x: Array  # (n,)
    evaluation: Evaluation  # at x
    evaluations: Array  # () int32: how many were made


class Search(NamedTuple):
    """The state between two trials.

    low    the lowest trial with sufficient decrease; α = 0 at first
    high   the other end of an interval that holds good step lengths; α = ∞ until a trial was too long
    alpha  the next trial
    found  x and evaluation of `low`
    """

    low: Trial
    high: Trial
    alpha: Array
    found: Found
    done: Array


def line_search(
    evaluate: Callable[[Array], Evaluation],
    x: Array,
    p: Array,
    start: Evaluation,
    alpha: Array | float,
    c1: Array | float,
    c2: Array | float,
    limit: int,
    idle: Array | bool = False,
) -> Found:
    """Looks for α with f(x + αp) ≤ f(x) + c₁α ∇fᵀp and |∇f(x + αp)ᵀp| ≤ c₂|∇fᵀp|.

    x, p      (n,) where the line starts, and where it goes; p must go down, else there is no step
    start     the evaluation at x
    alpha     the first trial
    limit     evaluations after which the lowest trial with sufficient decrease is taken
    idle      whether not to search at all

    Algorithms 3.5 (bracketing) and 3.6 (zoom) are one loop with one evaluation a pass: as long as the interval
    has no upper end, high.alpha = ∞, the cases of zoom are those of bracketing.
    A value or slope that is not finite counts as +∞.
    """
    zero = Trial(jnp.zeros_like(start.value), start.value, start.gradient @ p)
    wolfe = _conditions(zero, c1, c2)

    def body(search: Search) -> Search:
        here = x + search.alpha * p
        evaluation = evaluate(here)
        trial = _trial(search.alpha, evaluation, p)
        decreases, flat = wolfe(trial)
        worse = ~decreases | (trial.phi >= search.low.phi)
        done = decreases & flat
        better = done | ~worse
        found = Found(trial.alpha, here, evaluation, search.found.evaluations)
        found = _choose(better, found, search.found)
        found = found._replace(evaluations=search.found.evaluations + 1)
        low, high = _narrow(search, trial, better)
        return Search(low, high, _next(search.low, low, high), found, done)

    def goes_on(search: Search) -> Array:
        return ~search.done & (search.found.evaluations < limit)

    nothing = Found(zero.alpha, x, start, jnp.zeros((), jnp.int32))
    far = jax.tree.map(lambda a: jnp.full_like(a, jnp.inf), zero)
    first = jnp.asarray(alpha, x.dtype)
    done = jnp.asarray(idle) | ~(zero.dphi < 0)
    return lax.while_loop(goes_on, body, Search(zero, far, first, nothing, done)).found


def _conditions(
    zero: Trial, c1: Array | float, c2: Array | float
) -> Callable[[Trial], tuple[Array, Array]]:
    """Trial -> whether it decreases enough, whether it is flat enough.

    Where the values differ by no more than their rounding, the slopes decide, which is the same for a parabola:
    the approximate Wolfe conditions of Hager & Zhang 2005, section 4.
    """
    c1, c2 = (jnp.asarray(c, zero.phi.dtype) for c in (c1, c2))
    noise = 4 * float(jnp.finfo(zero.phi.dtype).eps) * jnp.abs(zero.phi)

    def conditions(trial: Trial) -> tuple[Array, Array]:
        armijo = trial.phi <= zero.phi + c1 * trial.alpha * zero.dphi
        close = (trial.phi <= zero.phi + noise) & (trial.dphi <= (2 * c1 - 1) * zero.dphi)
        return armijo | close, jnp.abs(trial.dphi) <= -c2 * zero.dphi

    return conditions


def _trial(alpha: Array, evaluation: Evaluation, p: Array) -> Trial:
    phi, dphi = evaluation.value, evaluation.gradient @ p
    finite = jnp.isfinite(phi) & jnp.isfinite(dphi)
    return Trial(alpha, jnp.where(finite, phi, jnp.inf), jnp.where(finite, dphi, jnp.inf))


def _narrow(search: Search, trial: Trial, better: Array) -> tuple[Trial, Trial]:
    """The smaller interval: its low end is the best trial, and f goes down from there towards its high end."""
    low, high = search.low, search.high
    turns = trial.dphi * (high.alpha - low.alpha) >= 0
    return _choose(better, trial, low), _choose(better, _choose(turns, low, high), trial)


def _next(before: Trial, low: Trial, high: Trial) -> Array:
    """The next trial: inside the interval, or beyond its low end as long as it has no high end."""
    width = high.alpha - low.alpha
    ends = jnp.sort(jnp.stack([low.alpha + 0.1 * width, high.alpha - 0.1 * width]))
    inside = jnp.clip(_or(_cubic(low, high), low.alpha + width / 2), ends[0], ends[1])
    last = low.alpha - before.alpha
    minimum = _cubic(before, low)
    further = jnp.where(minimum > low.alpha, minimum, jnp.inf)
    beyond = jnp.clip(further, low.alpha + 1.1 * last, low.alpha + 4 * last)
    return jnp.where(jnp.isfinite(high.alpha), inside, beyond)


def _cubic(a: Trial, b: Trial) -> Array:
    """The minimum of the cubic through two trials and their slopes: equation 3.59.  NaN if it has none."""
    d1 = a.dphi + b.dphi - 3 * (a.phi - b.phi) / (a.alpha - b.alpha)
    d2 = jnp.sign(b.alpha - a.alpha) * jnp.sqrt(d1**2 - a.dphi * b.dphi)
    return b.alpha - (b.alpha - a.alpha) * (b.dphi + d2 - d1) / (b.dphi - a.dphi + 2 * d2)


def _or(value: Array, fallback: Array) -> Array:
    return jnp.where(jnp.isfinite(value), value, fallback)


def _choose(condition: Array, a, b):
    return jax.tree.map(lambda x, y: jnp.where(condition, x, y), a, b)
