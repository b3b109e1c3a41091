from __future__ import annotations

import math

import jax.numpy as jnp

from nnrun.types import Loss

__all__ = ["squared_error"]

_ROUNDING = 1e-6  # what sums of float32 squares leave of a variance of 0


def squared_error(target_scale: float = 1.0) -> Loss:
    """Squared error, for regression: L = (z − y)² / 2.

    Targets y are standardised by the training part; `target_scale` is one such unit in units of the target.
    Metrics: loss (standardised), rmse and mae in the units of the target, r2 = 1 − Σ(z − y)² / Σ(y − ȳ)²,
    ȳ the mean of the part; nan where its targets are all equal.
    Shapes: outputs z (n, 1), targets y (n,) -> (n,).
    """

    def value(outputs, targets):
        return jnp.square(outputs[:, 0] - targets) / 2

    def terms(outputs, targets):
        error = outputs[:, 0] - targets
        loss, absolute = value(outputs, targets), jnp.abs(error)
        return {"loss": loss, "absolute": absolute, "target": targets, "target_squared": jnp.square(targets)}

    def metrics(mean):
        variance = mean["target_squared"] - mean["target"] ** 2
        if (
            variance <= _ROUNDING * mean["target_squared"]
        ):  # all targets of the part are equal: nothing to explain
            variance = 0.0
        return {
            "loss": mean["loss"],
            "rmse": target_scale * math.sqrt(2 * mean["loss"]),
            "mae": target_scale * mean["absolute"],
            "r2": 1 - 2 * mean["loss"] / variance if variance > 0 else math.nan,
        }

    return Loss(value, terms, metrics, judge="rmse", rising=("r2",), classifies=False)
