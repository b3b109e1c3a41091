from __future__ import annotations

import jax.numpy as jnp

from nnrun.loss._regression import regression_loss
from nnrun.options import Positive
from nnrun.types import Loss

__all__ = ["huber"]


def huber(delta: Positive = 1.0, target_scale: float = 1.0) -> Loss:
    """Huber loss, for regression with outliers: squared near 0, straight beyond delta.

    L = e²/2 where |e| ≤ delta, delta (|e| − delta/2) elsewhere,  e = z − y

    delta   > 0, in standardised units: 1 is one standard deviation of the training targets
    Targets y are standardised by the training part; `target_scale` is one such unit in units of the target.
    For large delta it is squared_error, for small ones delta times absolute_error.
    Metrics: `loss` (standardised), `mae` and `rmse` in the units of the target, `r2` as in squared_error.
    Shapes: outputs z (n, 1), targets y (n,) -> (n,), in [0, ∞).
    Source: Huber 1964, "Robust estimation of a location parameter"; as torch.nn.HuberLoss.
    """

    def value(z, y):
        error = z - y
        near = jnp.clip(error, -delta, delta)
        return near * (error - near / 2)  # no square of a large error, which could overflow

    return regression_loss(value, target_scale, judge="mae")
