from __future__ import annotations

from typing import Annotated

import jax.numpy as jnp
from annotated_types import Gt, Lt

from nnrun.loss._regression import regression_loss
from nnrun.types import Loss

__all__ = ["quantile"]

Level = Annotated[float, Gt(0), Lt(1)]


def quantile(q: Level = 0.5, target_scale: float = 1.0) -> Loss:
    """Quantile loss (pinball), for regression to what a share q of the targets is below.

    L = max(q (y − z), (1 − q)(z − y))

    q   the quantile, in (0, 1): 0.5 is the median, half of absolute_error; 0.9 is exceeded by one target in ten
    Targets y are standardised by the training part; `target_scale` is one such unit in units of the target.
    The derivative at 0 is that of the middle, ½ − q; there is no curvature, so newton, newton_cg and
    gauss_newton do not take it.
    Metrics: `loss` (standardised), `pinball`, the loss in the units of the target, `mae` and `rmse` likewise, `r2` as
    in squared_error: the last three measure the distance to the targets, of which a quantile but the median keeps
    away.
    Shapes: outputs z (n, 1), targets y (n,) -> (n,), in [0, ∞).
    Source: Koenker & Bassett 1978, "Regression quantiles"; as sklearn.metrics.mean_pinball_loss.
    """

    def value(z, y):
        error = z - y
        return jnp.maximum(-q * error, (1 - q) * error)

    def pinball(mean):
        return {"pinball": target_scale * mean["loss"]}

    return regression_loss(value, target_scale, judge="pinball", more=pinball, curved=False)
