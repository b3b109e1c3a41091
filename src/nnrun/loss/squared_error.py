from __future__ import annotations

import jax.numpy as jnp

from nnrun.loss._regression import regression_loss
from nnrun.types import Loss

__all__ = ["squared_error"]


def squared_error(target_scale: float = 1.0) -> Loss:
    """Squared error, for regression: L = (z − y)² / 2.

    Targets y are standardised by the training part; `target_scale` is one such unit in units of the target.
    Metrics: `loss` (standardised), `rmse` and `mae` in the units of the target, `r2` = 1 − Σ(z − y)² / Σ(y − ȳ)²,
    ȳ the mean of the part; nan where its targets are all equal.
    Shapes: outputs z (n, 1), targets y (n,) -> (n,).
    """
    return regression_loss(lambda z, y: jnp.square(z - y) / 2, target_scale, judge="rmse", likelihood=True)
