"""A model layer by layer: shapes, parameters, operations, and the share of the time that each takes."""

from __future__ import annotations

import time
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from nnrun import kernels
from nnrun.layer._watched import Passage, watching
from nnrun.probe.objective import ready
from nnrun.types import Experiment, State, Tree

__all__ = ["LayerRow", "layer_rows"]

_EXAMPLES = 64  # that layers are timed on, at most
_REPEATS = 5  # of which the fastest counts


class LayerRow(NamedTuple):
    """One layer, or several of equal cost that lie behind each other.

    path         its name: block_1/sum/branch/conv_1
    shape        of what it puts out for an example
    parameters   numbers that are trained
    flops        floating-point operations forwards for one example, as XLA counts them in the program of the layer
    seconds      forwards and backwards on a batch, the layer alone
    """

    path: tuple[str, ...]
    shape: tuple[int, ...]
    parameters: int
    flops: float
    seconds: float


def layer_rows(experiment: Experiment, state: State) -> list[LayerRow]:
    """The layers in order, innermost only; [] for a module of another library, which hides its layers.

    Convolutions are counted as XLA would compute them, and timed as they are computed here.
    """
    count = min(_EXAMPLES, experiment.plan.batch_size, len(experiment.dataset.train.y))
    batch = ready(experiment, np.arange(count))
    seen: list[Passage] = []

    def run(x: Array) -> Array:
        with watching() as passages:
            y = experiment.model(state.knobs).apply(state.params, state.stats, x, None, batch.weight)[0]
        seen[:] = [passage for passage in passages if not passage.composed]
        return y

    jax.eval_shape(run, batch.x)
    known: dict[str, tuple[float, float]] = {}
    return [_row(experiment, state, passage, known) for passage in seen]


def _row(
    experiment: Experiment, state: State, passage: Passage, known: dict[str, tuple[float, float]]
) -> LayerRow:
    """known   operations and seconds of programs that were measured before"""
    params, stats, x = jax.tree.map(
        lambda a: jnp.ones(a.shape, a.dtype), (passage.params, passage.stats, passage.x)
    )
    weight = jnp.ones(x.shape[0])

    def forward(params: Tree, x: Array) -> Array:
        return passage.layer.apply(params, stats, x, None, weight)[0]

    def both(params: Tree, x: Array) -> Tree:
        y, pull = jax.vjp(forward, params, x)
        return pull(jnp.ones_like(y))

    lowered = jax.jit(both).lower(params, x)
    program = lowered.as_text()
    if program not in known:
        with kernels.left_out():
            counted = jax.jit(forward).lower(params, x).cost_analysis() or {}
        known[program] = counted.get("flops", 0.0) / len(x), _fastest(lowered.compile(), params, x)
    flops, seconds = known[program]
    size = sum(leaf.size for leaf in jax.tree.leaves(params))
    return LayerRow(passage.path, tuple(passage.y.shape[1:]), size, flops, seconds)


def _fastest(program: jax.stages.Compiled, params: Tree, x: Array) -> float:
    jax.block_until_ready(program(params, x))
    times = []
    for _ in range(_REPEATS):
        began = time.perf_counter()
        jax.block_until_ready(program(params, x))
        times.append(time.perf_counter() - began)
    return min(times)
