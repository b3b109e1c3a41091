"""What losses of labels share: their terms and metrics."""

from __future__ import annotations

import math
from collections.abc import Callable

import jax.numpy as jnp
import numpy as np
from jax import Array

from nnrun.statistics.metric import SHARE, SIZE
from nnrun.types import Loss

__all__ = ["at_target", "classification_loss"]


def classification_loss(
    value: Callable[[Array, Array], Array],
    probabilities: bool = True,
    curved: bool = True,
    likelihood: bool = False,
    weights: np.ndarray | None = None,
) -> Loss:
    """The loss `value` >= 0 of outputs (n, classes) and labels (n,), which reports the accuracy beside it.

    probabilities, curved, likelihood   see `Loss`
    weights   (classes,) how much an example of each class counts in the mean of the loss; None: the same
    """

    def weight(outputs, targets):
        return jnp.asarray(weights, outputs.dtype)[targets]

    def terms(outputs, targets):
        correct = outputs.argmax(1).astype(targets.dtype) == targets
        known = {"loss": value(outputs, targets), "accuracy": correct.astype(outputs.dtype)}
        return known if weights is None else {**known, "weight": weight(outputs, targets)}

    def metrics(mean):
        loss = mean["loss"] / mean["weight"] if mean["weight"] else math.nan
        return {"loss": loss, "accuracy": mean["accuracy"]}

    return Loss(
        value, terms, dict if weights is None else metrics, judge="accuracy", rising=("accuracy",), classifies=True,
        bounds={"loss": SIZE, "accuracy": SHARE}, probabilities=probabilities, curved=curved, likelihood=likelihood,
        weight=None if weights is None else weight,
    )  # fmt: skip


def at_target(values: Array, targets: Array) -> Array:
    """(n, classes), (n,) -> (n, 1): the value of the class that is the target.

    Compared rather than gathered: the gradient of a gather is a scatter, which a GPU sorts first.
    """
    is_target = jnp.arange(values.shape[1], dtype=targets.dtype)[None] == targets[:, None]
    return jnp.where(is_target, values, 0).sum(1, keepdims=True)
