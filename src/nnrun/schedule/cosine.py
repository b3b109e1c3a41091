from __future__ import annotations

from collections.abc import Callable

import jax.numpy as jnp
from jax import Array

from nnrun.options import Probability

__all__ = ["cosine"]


def cosine(total: int, final: Probability = 0.0) -> Callable[[Array], Array]:
    """Cosine: half a cosine wave from 1 down to `final` at the end of the run.

    factor = final + (1 − final) · (1 + cos(π · step / total)) / 2

    total   steps of the run, without the warm-up
    final   factor at the end, in [0, 1]
    Source: Loshchilov & Hutter 2017, "SGDR", without restarts.
    """

    def factor(step):
        progress = jnp.clip(jnp.asarray(step, float) / total, 0.0, 1.0)
        return final + (1 - final) * (1 + jnp.cos(jnp.pi * progress)) / 2

    return factor
