"""What losses of numbers share: their terms, and metrics in the units of the target."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import jax.numpy as jnp
from jax import Array

from nnrun.statistics.metric import SIZE, Undefined
from nnrun.types import Loss

__all__ = ["regression_loss"]

_ROUNDING = 1e-6  # what sums of float32 squares leave of a variance of 0


def regression_loss(
    value: Callable[[Array, Array], Array],
    target_scale: float,
    judge: str,
    more: Callable[[Mapping[str, float]], dict[str, float]] = lambda mean: {},
    more_terms: Callable[[Array, Array], dict[str, Array]] = lambda z, y: {},
    curved: bool = True,
    likelihood: bool = False,
) -> Loss:
    """The loss `value` (z, y) -> (n,) of numbers z (n,), where outputs are (n, 1), and standardised targets y (n,).

    target_scale   one standardised unit in units of the target
    judge          which metric picks the best step
    more           means of the terms -> further metrics
    more_terms     (z, y) -> further terms (n,)
    curved, likelihood   see `Loss`
    Metrics: loss (standardised), rmse and mae in the units of the target, r2 = 1 − Σ(z − y)² / Σ(y − ȳ)², ȳ the mean
    of the part; undefined where its targets are all equal.
    """

    def terms(outputs, targets):
        numbers = outputs[:, 0]
        difference = numbers - targets
        return {
            "loss": value(numbers, targets),
            "absolute": jnp.abs(difference),
            "squared": jnp.square(difference),
            "target": targets,
            "target_squared": jnp.square(targets),
            **more_terms(numbers, targets),
        }

    def metrics(mean):
        variance = mean["target_squared"] - mean["target"] ** 2
        if variance <= _ROUNDING * mean["target_squared"]:  # all targets are equal: nothing to explain
            variance = 0.0
        return {
            "loss": mean["loss"],
            "rmse": target_scale * math.sqrt(mean["squared"]),
            "mae": target_scale * mean["absolute"],
            "r2": 1 - mean["squared"] / variance if variance > 0 else Undefined("all targets are equal"),
            **more(mean),
        }

    return Loss(
        lambda outputs, targets: value(outputs[:, 0], targets),
        terms,
        metrics,
        judge=judge,
        rising=("r2",),
        bounds={"loss": SIZE, "rmse": SIZE, "mae": SIZE, "r2": (-math.inf, 1.0)},
        classifies=False,
        curved=curved,
        likelihood=likelihood,
    )
