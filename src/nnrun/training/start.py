"""The state before the first step, and its program, compiled when it is needed: a resumed run needs none."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from nnrun.training.compiling import compiled
from nnrun.training.step import initial_state
from nnrun.types import Experiment, State, Tree

__all__ = ["Start", "knobs_of_lanes", "one_initial", "one_like"]


class Start:
    """The program, which is traced and compiled in the settings of jax that held when it was described.

    jax keeps these (the precision of arrays and of products, the device) for each thread, and the first call may come
    from another one.
    """

    def __init__(self, lower: Callable[[], jax.stages.Lowered]) -> None:
        self._lower: Callable[[], jax.stages.Lowered] | None = lower
        self._program: jax.stages.Compiled | None = None
        self._lock = threading.Lock()  # the parts of a population may share one program
        config: Any = jax.config
        self._settings = (
            (jax.enable_x64, config.jax_enable_x64),
            (jax.default_matmul_precision, config.jax_default_matmul_precision),
            (jax.default_device, config.jax_default_device),
            (jax.default_prng_impl, config.jax_default_prng_impl),
            (jax.threefry_partitionable, config.jax_threefry_partitionable),
        )

    def compile(self) -> jax.stages.Compiled:
        """The program, compiled now if it was not.  Raises Interrupted when a signal arrives meanwhile."""
        with self._lock:
            if self._program is None:
                assert self._lower is not None
                with ExitStack() as stack:
                    for setting, value in self._settings:
                        stack.enter_context(setting(value))
                    self._program = compiled(self._lower())
                self._lower = None  # it holds the data of the experiment
            return self._program

    def __call__(self, *arguments: Any) -> State:
        """The state from seeds and knobs."""
        return self.compile()(*arguments)


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
