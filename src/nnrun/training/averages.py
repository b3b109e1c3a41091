"""The averages of a state as states of their own, ready to be evaluated."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, lax

from nnrun.training.step import normalise
from nnrun.types import Batch, Experiment, State, Tree

__all__ = ["compile_averages"]

_BATCHES = 50  # from which statistics are measured; at a momentum of 0.9, 0.5% of the old ones remain
_LARGEST = 512  # examples in one of them


def compile_averages(
    experiment: Experiment, state: State, x: Array, y: Array, lanes: int | None
) -> Callable[[State], dict[str, State]]:
    """A function state -> {name: the state with the average as its parameters}, compiled.

    x, y   the training data as stored
    """
    if not experiment.averages(experiment.knobs):
        return lambda state: {}

    def averaged(state: State, x: Array, y: Array) -> dict[str, Any]:
        found = {}
        for name, one in experiment.averages(state.knobs).items():
            params = one.value(state.average[name], state.params)
            found[name] = params, _refreshed(experiment, state, params, x, y)
        return found

    function: Any = averaged
    if lanes is not None:
        function = jax.vmap(averaged, in_axes=(0, None, None))
    compiled = jax.jit(function).lower(state, x, y).compile()

    def states(state: State) -> dict[str, State]:
        found = compiled(state, x, y)
        return {name: state._replace(params=p, stats=s) for name, (p, s) in found.items()}

    return states


def _refreshed(experiment: Experiment, state: State, params: Tree, x: Array, y: Array) -> Tree:
    """Batch-norm statistics measured for other parameters than those they were collected with.

    They are what training without noise would collect on batches spread over the training data.
    """
    if not jax.tree.leaves(state.stats):
        return state.stats
    model, examples = experiment.model(state.knobs), x.shape[0]
    size = min(max(experiment.plan.batch_size, 64), _LARGEST, examples)
    apart = examples // size  # rows of a batch lie all over the data, which may be sorted by class

    def pass_over(i: Array, stats: Tree) -> Tree:
        rows = (i + apart * jnp.arange(size, dtype=jnp.int32)) % examples
        inputs, _ = normalise(experiment, Batch(x[rows], y[rows], jnp.ones(size)))
        return model.apply(params, stats, inputs, None, jnp.ones(size))[1]

    return lax.fori_loop(0, _BATCHES, pass_over, state.stats)
