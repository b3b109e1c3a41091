"""The path of a method over a surface, at the learning rate that suits it best."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from nnrun.errors import SpecError, one_line
from nnrun.types import Method, Surface, Tree

__all__ = ["RATES", "Trajectory", "first_step_to_stay", "run"]

RATES = np.logspace(-5, 1, 49)  # eight to a decade
_OUT = 1e3  # a path that leaves the window by this many of its widths has diverged


class Trajectory(NamedTuple):
    """The points that a method went through."""

    label: str
    learning_rate: float | None  # None: it has none
    points: np.ndarray  # (steps + 1, 2) from the start on; NaN after it has diverged
    values: np.ndarray  # (steps + 1,) of the surface there, without noise
    steps: int | None  # after which it stayed at the goal; None: it did not


def run(
    surface: Surface,
    label: str,
    make: Callable[[Array], Method],
    rates: np.ndarray | None,
    steps: int,
    seed: int,
) -> Trajectory:
    """Races one method.

    make    learning rate -> Method
    rates   those to try, at once in one program; None: the method has none, or only one
    The rate that is first to reach the goal and stay there wins; if none does, the one that is lowest over the last
    tenth.  A path may leave the window and come back; one that ends infinite or not a number comes last, and
    beyond a thousand widths of the window it counts as that.
    Raises SpecError for a method that refuses.
    """
    tried = np.ones(1) if rates is None else rates
    try:
        points, values = jax.jit(jax.vmap(lambda rate: _trace(surface, make(rate), steps, seed)))(tried)
    except ValueError as error:
        raise SpecError(f"{one_line(label, 60)}: {one_line(error, 200)}") from error
    points, values = np.asarray(points), np.asarray(values)
    points = np.where(np.isfinite(values)[..., None], points, np.nan)
    best = min(range(len(values)), key=lambda i: _rank(surface.goal, values[i]))
    reached = first_step_to_stay(values[best], surface.goal)
    rate = None if rates is None else float(tried[best])
    return Trajectory(label, rate, points[best], values[best], reached)


def _trace(surface: Surface, method: Method, steps: int, seed: int) -> tuple[Array, Array]:
    """Points (steps + 1, 2) and true values (steps + 1,) of a path."""
    key, start = jax.random.key(seed), jnp.asarray(surface.start, float)
    (left, right), (bottom, top) = surface.window
    middle = jnp.array([left + right, bottom + top]) / 2
    reach = _OUT * max(right - left, top - bottom)

    def objective(t: Array) -> Callable[[Array], tuple[Array, Tree]]:
        error = surface.noise * jax.random.normal(jax.random.fold_in(key, t), (2,))
        return lambda x: (surface.value(x) + (error * x).sum(), ())

    def step(carry: tuple[Array, Tree], t: Array) -> tuple[tuple[Array, Tree], Array]:
        x, memory, _ = method.step(objective(t), *carry)
        x = jnp.where(jnp.abs(x - middle).max() < reach, x, jnp.nan)
        return (x, memory), x

    memory = method.init(objective(jnp.int32(0)), start)
    _, path = lax.scan(step, (start, memory), jnp.arange(steps, dtype=jnp.int32))
    points = jnp.concatenate([start[None], path])
    return points, lax.map(surface.value, points)  # at once, the networks of all points would fill the memory


def _rank(goal: float, values: np.ndarray) -> tuple[float, float]:
    """Less is better: the steps to the goal, then the mean over the last tenth, where the path ends."""
    reached = first_step_to_stay(values, goal)
    end = float(np.mean(values[-max(1, len(values) // 10) :]))
    return (np.inf if reached is None else reached, end if np.isfinite(end) else np.inf)


def first_step_to_stay(values: np.ndarray, goal: float) -> int | None:
    """The first step from which on the values stay at or below the goal; None: there is none."""
    above = np.flatnonzero(~(values <= goal))
    first = int(above[-1]) + 1 if len(above) else 0
    return first if first < len(values) else None
