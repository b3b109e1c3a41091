"""The averages of a state as states of their own, ready to be evaluated."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from nnrun.training.compiling import compiled
from nnrun.training.feed import Feed
from nnrun.training.fsdp import places_of
from nnrun.training.mesh import jit_on, shared
from nnrun.training.step import normalise
from nnrun.types import Batch, Experiment, State, Tree

__all__ = ["compile_averages", "compile_statistics"]

_BATCHES = 50  # from which statistics are measured; at a momentum of 0.9, 0.5% of the old ones remain
_LARGEST = 512  # examples in one of them


def compile_averages(
    experiment: Experiment, state: State, feed: Feed, lanes: int | None
) -> Callable[[State], dict[str, State]]:
    """A function state -> {name: the state with the average as its parameters}, compiled.

    feed   the training data
    """
    if not experiment.averages(experiment.knobs):
        return lambda state: {}

    def averaged(state: State) -> dict[str, Tree]:
        averages = experiment.averages(state.knobs)
        return {name: average.value(state.average[name], state.params) for name, average in averages.items()}

    function = averaged if lanes is None else jax.vmap(averaged)
    places = places_of(state, feed.place)
    results = places and dict.fromkeys(experiment.averages(experiment.knobs), places.params)
    program = compiled(jit_on(feed.place, function, (places,), results).lower(state))
    statistics = compile_statistics(experiment, state, feed, lanes)

    def states(state: State) -> dict[str, State]:
        return {
            name: state._replace(params=params, stats=statistics(params, state.stats, state.knobs))
            for name, params in program(state).items()
        }

    return states


def compile_statistics(
    experiment: Experiment, state: State, feed: Feed, lanes: int | None
) -> Callable[[Tree, Tree, Tree], Tree]:
    """(params, stats, knobs) -> batch-norm statistics measured for other parameters than they were collected with.

    They are what training without noise would collect on batches spread over the training data.
    """
    if not jax.tree.leaves(state.stats):
        return lambda params, stats, knobs: stats
    chosen = _spread(len(feed.examples.y), experiment.plan.batch_size)
    size = chosen.shape[1]
    together = feed.together(size, _BATCHES)

    def refreshed(
        params: Tree, stats: Tree, knobs: Tree, x: Array, y: Array, positions: Array, count: Array
    ) -> Tree:
        model = experiment.model(knobs)

        def pass_over(i: Array, stats: Tree) -> Tree:
            rows = positions[i]
            batch = shared(feed.place, Batch(x[rows], y[rows], jnp.ones(size)))
            inputs, _ = normalise(experiment, batch)
            return model.apply(params, stats, inputs, None, jnp.ones(size))[1]

        return lax.fori_loop(0, count, pass_over, stats)

    function: Callable[..., Tree] = refreshed
    if lanes is not None:
        function = jax.vmap(refreshed, in_axes=(0, 0, 0, None, None, None, None))
    parts = state.params, state.stats, state.knobs
    positions = jax.ShapeDtypeStruct((together, size), jnp.int32)
    count = jax.ShapeDtypeStruct((), jnp.int32)
    places = feed.place and (*places_of(parts, feed.place), *[feed.place] * 4)
    results = places and places[1]
    jitted = jit_on(feed.place, function, places, results)
    program = compiled(jitted.lower(*parts, *feed.like(together * size), positions, count))

    def statistics(params: Tree, stats: Tree, knobs: Tree) -> Tree:
        for start in range(0, _BATCHES, together):
            rows = chosen[start : start + together]
            batches = feed.fetch(np.pad(rows, [(0, together - len(rows)), (0, 0)], mode="edge"))
            if start:
                jax.block_until_ready(stats)  # so that no more than two blocks are there
            stats = program(params, stats, knobs, *batches, np.int32(len(rows)))
        return stats

    return statistics


def _spread(examples: int, batch_size: int) -> np.ndarray:
    """(_BATCHES, size) positions: rows of a batch lie all over the data, which may be sorted by class."""
    size = min(max(batch_size, 64), _LARGEST, examples)
    batch, row = np.arange(_BATCHES)[:, None], np.arange(size)[None]
    return ((batch + examples // size * row) % examples).astype(np.int32)
