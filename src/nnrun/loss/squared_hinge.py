from __future__ import annotations

import jax.numpy as jnp

from nnrun.loss._classification import classification_loss
from nnrun.loss._margins import shortfalls
from nnrun.options import Positive
from nnrun.types import Loss

__all__ = ["squared_hinge"]


def squared_hinge(margin: Positive = 1.0) -> Loss:
    """Squared hinge loss (L2-SVM): what falls short of the margin counts by its square.

    L = Σ_{j ≠ y} max(0, z_j − z_y + margin)²

    margin   > 0: by how much the score of the right class y has to lead; 1 in the course
    Outputs are scores, not logits: their softmax is no probability.  `nnrun predict` writes the scores, and ensembles
    average them (--average logits).  It is smooth where hinge has a kink, and hard on single large errors.
    Metrics: `loss`, `accuracy`.
    Shapes: outputs z (n, classes), targets (n,) int -> (n,), in [0, ∞).
    Source: Tang 2013, "Deep learning using linear support vector machines"; the course's notes on linear
    classification.  torch.nn.MultiMarginLoss(p=2) is this divided by the number of classes.
    """

    def value(outputs, targets):
        return jnp.square(shortfalls(outputs, targets, margin)).sum(1)

    return classification_loss(value, probabilities=False)
