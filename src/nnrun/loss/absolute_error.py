from __future__ import annotations

import jax.numpy as jnp

from nnrun.loss._regression import regression_loss
from nnrun.types import Loss

__all__ = ["absolute_error"]


def absolute_error(target_scale: float = 1.0) -> Loss:
    """Absolute error, for regression to the median: L = |z − y|.

    Targets y are standardised by the training part; `target_scale` is one such unit in units of the target.
    Far targets pull no harder than near ones.  The derivative at 0 is 0, as in torch; there is no curvature, so newton,
    newton_cg and gauss_newton do not take it.
    Metrics: `loss` (standardised), `mae` and `rmse` in the units of the target, `r2` as in squared_error.
    Shapes: outputs z (n, 1), targets y (n,) -> (n,), in [0, ∞).
    Source: Laplace; as torch.nn.L1Loss.
    """

    def value(z, y):
        error = z - y
        return jnp.maximum(error, -error)  # jnp.abs has the slope 1 at 0

    return regression_loss(value, target_scale, judge="mae", curved=False)
