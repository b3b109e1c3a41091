from __future__ import annotations

from collections.abc import Callable

import jax.numpy as jnp
from jax import Array

from nnrun.options import Probability, Steps
from nnrun.schedule._check import at_least_one

__all__ = ["step_decay"]


def step_decay(every: Steps, decay: Probability = 0.5) -> Callable[[Array], Array]:
    """Step decay: the rate drops by a factor every so often, by half by default.

    factor = decay^⌊step / every⌋

    every   duration between drops, such as 10 epochs
    decay   what remains of the rate after a drop, in [0, 1]
    Lecture: the first of three decays, "e.g. decay learning rate by half every few epochs".
    Source: He et al. 2016 (by 10 at 50% and 75% of the run); cs231n 2016, lecture 6.
    """
    at_least_one("every", every)

    def factor(step):
        return jnp.asarray(decay, float) ** jnp.floor(jnp.asarray(step, float) / every)

    return factor
