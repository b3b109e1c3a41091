"""What losses of labels share: their terms and metrics."""

from __future__ import annotations

from collections.abc import Callable

import jax.numpy as jnp
from jax import Array

from nnrun.types import Loss

__all__ = ["classification_loss", "of_target"]


def classification_loss(
    value: Callable[[Array, Array], Array],
    probabilities: bool = True,
    curved: bool = True,
    likelihood: bool = False,
) -> Loss:
    """The loss `value` of outputs (n, classes) and labels (n,), which reports the accuracy beside it.

    probabilities, curved, likelihood   see `Loss`
    """

    def terms(outputs, targets):
        correct = outputs.argmax(1).astype(targets.dtype) == targets
        return {"loss": value(outputs, targets), "accuracy": correct.astype(outputs.dtype)}

    return Loss(
        value, terms, dict, judge="accuracy", rising=("accuracy",), classifies=True, shares=("accuracy",),
        probabilities=probabilities, curved=curved, likelihood=likelihood,
    )  # fmt: skip


def of_target(values: Array, targets: Array) -> Array:
    """(n, classes), (n,) -> (n, 1): the value of the class that is the target."""
    return jnp.take_along_axis(values, targets[:, None], axis=1)
