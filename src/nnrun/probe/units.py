"""Whether parts of a model are dead: parameters without a gradient, units that answer nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import jax
import jax.numpy as jnp
import numpy as np

from nnrun.layer._watched import Passage
from nnrun.optimizer._paths import name_of
from nnrun.probe.finding import Finding, graded, some_of
from nnrun.probe.objective import objective_on
from nnrun.types import Batch, Experiment, State, Tree

__all__ = ["check_units", "idle_units"]

_FLAT = 0.01  # of the steepest slope of an activation: less is none
_ALWAYS = 0.99  # of the examples
_MANY, _ALL = 0.5, 0.95  # of the units of a layer
_GRID = 41  # places between −4 and 4 where an activation is looked at


def check_units(
    experiment: Experiment, before: State, after: State, batch: Batch, seen: list[Passage]
) -> Finding:
    """Whether all parameters have a gradient, and all units a slope, on some hundred examples.

    before, after   the state before the first step and after some; what is dead in both has no way back
    seen            what goes through the layers afterwards
    """
    gradient = _gradient(experiment, batch)
    dead = _zeros(gradient(before.params, before.stats)) & _zeros(gradient(after.params, after.stats))
    idle = dict(idle_units(seen))
    most = max(idle.values(), default=0.0)
    numbers = {"parameters_without_gradient": len(dead), "most_idle_units": most}
    if dead:
        remedy = (
            "the layer, or one behind it, puts out a constant: look at its initial weights and activation"
        )
        evidence = f"no gradient, before and after the first steps: {some_of(sorted(dead))}"
        return Finding("dead units", "fail", evidence, remedy, numbers)
    if not idle:
        return Finding("dead units", "pass", "all parameters have a gradient", numbers=numbers)
    worst_layer = max(idle, key=idle.__getitem__)
    units = f"{most:.0%} of the units of {worst_layer} are" if most else "no unit is"
    evidence = f"all parameters have a gradient; after the first steps {units} dead or saturated"
    remedy = "a smaller learning rate or other initial weights; leaky_relu, gelu or a norm keep units alive"
    verdict = graded(most, _MANY, _ALL)
    return Finding("dead units", verdict, evidence, remedy if verdict != "pass" else "", numbers)


def _gradient(experiment: Experiment, batch: Batch) -> Callable[[Tree, Tree], Tree]:
    """(params, stats) -> the gradient of the loss, one program for all states."""
    return jax.jit(lambda params, stats: objective_on(experiment, stats, batch).gradient(params)[1])


def _zeros(gradient: Tree) -> set[str]:
    """Names of the parameters whose gradient is 0 in each entry."""
    leaves = jax.tree_util.tree_leaves_with_path(gradient)
    return {name_of(path) for path, leaf in leaves if leaf.size and not np.asarray(leaf).any()}


def idle_units(seen: list[Passage]) -> Iterator[tuple[str, float]]:
    """Of each activation, the share of units whose slope is next to nothing for nearly all examples.

    A layer without parameters that keeps the shape is taken for an activation, unless its slope is the same
    everywhere, as that of dropout without noise: a line cannot be dead.  The slope is what a layer hands back of a
    gradient of ones, and the steepest there is, is that between −4 and 4.  A unit is an entry of the last axis.
    """
    for passage in seen:
        if jax.tree.leaves((passage.params, passage.stats)) or passage.x.shape != passage.y.shape:
            continue
        slope = np.abs(_slope(passage, passage.x))
        grid = jnp.linspace(-4, 4, _GRID, dtype=passage.x.dtype).reshape(-1, *(1,) * (passage.x.ndim - 1))
        grid = jnp.broadcast_to(grid, (_GRID, *passage.x.shape[1:]))
        slopes = np.abs(_slope(passage, grid))
        steepest = slopes.max()
        if slopes.min() == steepest > 0:
            continue
        flat = (slope <= _FLAT * steepest).reshape(-1, slope.shape[-1])
        yield "/".join(passage.path), float((flat.mean(0) >= _ALWAYS).mean())


def _slope(passage: Passage, x: jax.Array) -> np.ndarray:
    def bend(x: jax.Array) -> jax.Array:
        return passage.layer.apply(passage.params, passage.stats, x, None, None)[0]

    y, pull = jax.vjp(bend, x)
    return np.asarray(pull(jnp.ones_like(y))[0], np.float64)
