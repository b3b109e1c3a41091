from __future__ import annotations

import jax.numpy as jnp
from jax.scipy.special import xlogy

from nnrun.loss._regression import regression_loss
from nnrun.statistics.metric import ANY, SIZE
from nnrun.types import Loss

__all__ = ["poisson"]


def poisson(target_scale: float = 1.0) -> Loss:
    """Negative log-likelihood of a Poisson distribution, for counts: L = r − y log r.

    The model gives log r, the logarithm of the rate r of the count y ≥ 0, without the term log y! that no rate changes.
    Counts are not standardised: y and r are in units of the mean of the training targets, `target_scale`, so that a
    model that gives 0 predicts that mean.  Predictions are rates, in the units of the target.  A target below 0 is
    refused; fractions, such as counts per hour, are not.
    Metrics: `loss`, in these units, and may be negative; `deviance` = mean of 2 (y log(y / r) − y + r) in the units of
    the target, 0 for perfect rates; `mae`, `rmse` and `r2` as in squared_error.
    Shapes: rates r (n, 1) > 0, targets y (n,) -> (n,).
    Source: McCullagh & Nelder 1989, "Generalized linear models", chapter 6; as torch.nn.PoissonNLLLoss of log r, and
    sklearn.metrics.mean_poisson_deviance.
    """

    def log(rates):
        return jnp.log(jnp.maximum(rates, jnp.finfo(rates.dtype).tiny))

    def value(rates, targets):
        return rates - targets * log(rates)

    def deviance(rates, targets):
        return 2 * (xlogy(targets, targets) - targets * log(rates) - targets + rates)

    loss = regression_loss(
        value,
        target_scale,
        judge="deviance",
        more_terms=lambda rates, targets: {"deviance": deviance(rates, targets)},
        more=lambda mean: {"deviance": target_scale * mean["deviance"]},
        likelihood=True,
    )
    return loss._replace(positive=True, bounds={**loss.bounds, "loss": ANY, "deviance": SIZE})
