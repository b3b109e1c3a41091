"""The state before the first step."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from nnrun.training.step import initial_state
from nnrun.types import Experiment, State, Tree

__all__ = ["knobs_of_lanes", "one_initial", "one_like"]


def knobs_of_lanes(experiment: Experiment) -> list[Tree]:
    """The knobs of each lane, as arrays."""
    dtype = jnp.zeros(()).dtype
    knobs_of_lanes = experiment.lane_knobs or (experiment.knobs,) * len(experiment.plan.seeds)
    return [jax.tree.map(lambda value: np.asarray(value, dtype), knobs) for knobs in knobs_of_lanes]


def one_like(experiment: Experiment) -> State:
    """The state of one lane as shapes only."""
    return jax.eval_shape(
        lambda knobs: initial_state(experiment, jax.random.key(jnp.uint32(0)), knobs),
        knobs_of_lanes(experiment)[0],
    )


def one_initial(experiment: Experiment) -> State:
    """The state of the first lane before its first step."""
    program = jax.jit(lambda seed, knobs: initial_state(experiment, jax.random.key(seed), knobs))
    return program(jnp.uint32(experiment.plan.seeds[0]), knobs_of_lanes(experiment)[0])
