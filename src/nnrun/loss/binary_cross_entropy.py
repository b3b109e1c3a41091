from __future__ import annotations

import jax

from nnrun.statistics.metric import SHARE, SIZE
from nnrun.types import Loss

__all__ = ["binary_cross_entropy"]


def binary_cross_entropy() -> Loss:
    """Binary cross-entropy of the sigmoid, for several labels of an example, each there or not.

    L = −y log p − (1 − y) log(1 − p) = log(1 + exp(z)) − y z,  p = 1 / (1 + exp(−z))

    Every label is a classification of its own into two classes, and they share one model: `data.target` is the list of
    their columns.  The loss is the mean over labels.  Of one label with two classes cross_entropy is the same.
    Metrics: `loss`, `accuracy` of each label and their mean; `exact_match`, the share of examples of which all labels
    are right.
    Shapes: outputs z (n, 1) of a label, targets y (n,) 0 or 1 -> (n,).
    Source: as torch.nn.BCEWithLogitsLoss.
    """

    def value(outputs, targets):
        return jax.nn.softplus(outputs[:, 0]) - targets * outputs[:, 0]

    def terms(outputs, targets):
        correct = (outputs[:, 0] > 0) == (targets > 0.5)
        return {"loss": value(outputs, targets), "accuracy": correct.astype(outputs.dtype)}

    return Loss(
        value, terms, dict, judge="loss", rising=("accuracy",), classifies=False, binary=True, likelihood=True,
        bounds={"loss": SIZE, "accuracy": SHARE},
    )  # fmt: skip
