from __future__ import annotations

from collections.abc import Callable

import jax.numpy as jnp
from jax import Array

from nnrun.options import Probability

__all__ = ["one_cycle"]

_TINY = 1e-12  # keeps a rise of nothing, or of the whole run, finite


def one_cycle(
    total: int, rise: Probability = 0.3, start: Probability = 0.04, final: Probability = 4e-6
) -> Callable[[Array], Array]:
    """One cycle: up from `start` to 1 and down to `final`, each along half a cosine.

    factor = start + (1 − start) · (1 − cos(π · p / rise)) / 2            p = step / total < rise
             final + (1 − final) · (1 + cos(π · (p − rise) / (1 − rise))) / 2     after it

    total   steps of the run, without the warm-up
    rise    share of the run that goes up, in [0, 1]
    start   factor at the beginning: 1 / 25
    final   factor at the end: a ten thousandth of start
    torch's OneCycleLR reaches the peak and the end one step earlier, and moves the momentum too.
    Source: Smith & Topin 2019, "Super-convergence".
    """

    def factor(step):
        p = jnp.clip(jnp.asarray(step, float) / total, 0.0, 1.0)
        up = jnp.clip(p / jnp.maximum(rise, _TINY), 0.0, 1.0)
        down = jnp.clip((p - rise) / jnp.maximum(1 - rise, _TINY), 0.0, 1.0)
        rising = start + (1 - start) * (1 - jnp.cos(jnp.pi * up)) / 2
        falling = final + (1 - final) * (1 + jnp.cos(jnp.pi * down)) / 2
        return jnp.where(p < rise, rising, falling)

    return factor
