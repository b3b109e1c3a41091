from __future__ import annotations

from collections.abc import Callable

import jax.numpy as jnp
from jax import Array

from nnrun.options import Probability

__all__ = ["linear"]


def linear(total: int, final: Probability = 0.0) -> Callable[[Array], Array]:
    """Linear: a straight line from 1 down to `final` at the end of the run.

    factor = 1 − (1 − final) · step / total

    total   steps of the run, without the warm-up
    final   factor at the end, in [0, 1]
    Source: Bergsma et al. 2025, "Straight to zero", for language models; Defazio et al. 2023.
    """

    def factor(step):
        left = 1 - jnp.clip(jnp.asarray(step, float) / total, 0.0, 1.0)
        return final + (1 - final) * left

    return factor
