"""Gradients against finite differences, in float64, parameter by parameter."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from nnrun.amounts import figure
from nnrun.optimizer._paths import name_of
from nnrun.probe.finding import Finding, some_of
from nnrun.probe.objective import beginning, objective_on, ready
from nnrun.types import Experiment, State, Tree

__all__ = ["LeafError", "check_gradients", "leaf_errors"]

_EXAMPLES = 8
_STEPS = (1e-5, 1e-4, 1e-6, 1e-3, 1e-7)  # of the finite differences; a kink is not between all of them
_FINE, _WRONG = 1e-4, 1e-2  # relative errors
_SHIFT = 0.05  # how far parameters are moved from where they begin, which may be a kink, in their root mean squares
_FLOOR = 1e-8  # of the loss: a derivative below is 0 but for rounding
_DIRECTIONS = (2, 1)  # in each array of parameters, where these are few and where they are many
_MANY = 24


class LeafError(NamedTuple):
    """Of one array of parameters: the relative error of its directional derivatives, the largest of some."""

    name: str
    error: float
    derivative: float  # along the direction of the error, by backpropagation
    difference: float  # by finite differences


def check_gradients(experiment: Experiment, state: State | None = None) -> Finding:
    """Whether backpropagation gives the derivative of the loss.  To be used in float64, with a spec of that precision.

    It finds a wrong gradient in a layer of the user's own: all parameters before that layer are off.
    """
    errors = leaf_errors(experiment, beginning(experiment) if state is None else state)
    largest = max(errors, key=lambda leaf: leaf.error)
    numbers = {"largest": largest.error, "parameters": len(errors)}
    evidence = (
        f"relative error at most {largest.error:.1e} over {len(errors)} arrays of parameters ({largest.name})"
    )
    wrong = [leaf for leaf in errors if not leaf.error <= _WRONG]
    if wrong:
        last = wrong[-1]
        remedy = (
            "the layer behind the last of them hands back a wrong gradient: look at its custom_vjp, custom_jvp or "
            "stop_gradient"
        )
        evidence = (
            f"{len(wrong)} of {len(errors)} arrays are off: {some_of([leaf.name for leaf in wrong])}; "
            f"{last.name} {figure(last.derivative)}, by finite differences {figure(last.difference)}"
        )
        return Finding("gradients", "fail", evidence, remedy, numbers)
    if largest.error > _FINE:
        remedy = "kinks, or a layer that computes in float32, may be the reason; a test of the layer alone says more"
        return Finding("gradients", "warn", evidence, remedy, numbers)
    return Finding("gradients", "pass", evidence, numbers=numbers)


def leaf_errors(experiment: Experiment, state: State) -> list[LeafError]:
    """The error of each array of parameters, in the order of the tree, near the given state.

    ⟨g, d⟩ is compared with (L(θ + εd) − L(θ − εd)) / 2ε along random directions d of one array; of several ε the one
    that agrees best counts, since a kink of a relu may lie between two of them.
    """
    count = len(experiment.dataset.train.y)
    rows = np.sort(np.random.default_rng(0).choice(count, min(_EXAMPLES, count), replace=False))
    batch = ready(experiment, rows)
    objective = objective_on(experiment, _in_double(state.stats), batch)
    params = _shifted(_in_double(state.params))
    value = jax.jit(lambda params: objective.whole(params)[0])
    (loss, _), gradient = jax.jit(objective.gradient)(params)
    floor = _FLOOR * max(abs(float(loss)), 1.0)
    leaves, structure = jax.tree.flatten(params)
    slopes = jax.tree.leaves(gradient)
    paths = [name_of(path) for path, _ in jax.tree_util.tree_leaves_with_path(params)]

    def along(i: int, moved: np.ndarray) -> float:
        return float(
            value(jax.tree.unflatten(structure, [*leaves[:i], jnp.asarray(moved), *leaves[i + 1 :]]))
        )

    directions = _DIRECTIONS[len(leaves) > _MANY]  # a layer that is wrong shows in all arrays before it
    return [
        _leaf_error(
            name,
            np.asarray(leaves[i]),
            np.asarray(slopes[i]),
            lambda moved, i=i: along(i, moved),
            floor,
            directions,
        )
        for i, name in enumerate(paths)
        if leaves[i].size
    ]


def _leaf_error(
    name: str,
    leaf: np.ndarray,
    slope: np.ndarray,
    value: Callable[[np.ndarray], float],
    floor: float,
    directions: int = 2,
) -> LeafError:
    rng = np.random.default_rng(len(name))
    worst = LeafError(name, 0.0, 0.0, 0.0)
    for _ in range(directions):
        direction = rng.standard_normal(leaf.shape) * _size(leaf)
        derivative = float((slope * direction).sum())
        best = LeafError(name, np.inf, derivative, np.nan)
        for step in _STEPS:
            difference = (value(leaf + step * direction) - value(leaf - step * direction)) / (2 * step)
            error = abs(difference - derivative) / max(abs(difference), abs(derivative), floor)
            if error < best.error:
                best = LeafError(name, error, derivative, difference)
            if best.error < _FINE / 10:
                break
        worst = max(worst, best, key=lambda leaf_error: leaf_error.error)
    return worst


def _in_double(arrays: Tree) -> Tree:
    """Numbers with fractions in float64, as the objective computes; counts as they are."""

    def doubled(a: Array) -> Array:
        return jnp.asarray(np.asarray(a), float if jnp.issubdtype(a.dtype, jnp.floating) else None)

    return jax.tree.map(doubled, arrays)


def _shifted(params: Tree) -> Tree:
    """The parameters moved a little at random: many begin at 0, where a relu has a kink and some gradients vanish."""
    rng = np.random.default_rng(1)
    return jax.tree.map(lambda a: a + _SHIFT * _size(a) * rng.standard_normal(a.shape), params)


def _size(leaf: np.ndarray) -> float:
    """Root mean square of an array; 0.1 of one of zeros."""
    size = float(np.sqrt(np.mean(np.square(np.asarray(leaf, np.float64)))))
    return size if size > 0 else 0.1
