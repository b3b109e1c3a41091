from __future__ import annotations

from nnrun.loss._classification import classification_loss
from nnrun.loss._margins import shortfalls
from nnrun.options import Positive
from nnrun.types import Loss

__all__ = ["hinge"]


def hinge(margin: Positive = 1.0) -> Loss:
    """Hinge loss of a support vector machine with several classes, for integer labels.

    L = Σ_{j ≠ y} max(0, z_j − z_y + margin)

    margin   > 0: by how much the score of the right class y has to lead; 1 in the course
    Outputs are scores, not logits: their softmax is no probability.  `nnrun predict` writes the scores, and ensembles
    average them (--average logits).  With two classes it is max(0, margin − t(z₁ − z₀)), t = ±1.
    It has no curvature, so newton, newton_cg and gauss_newton do not take it.
    Metrics: `loss`, `accuracy`.
    Shapes: outputs z (n, classes), targets (n,) int -> (n,), in [0, ∞).
    Source: Weston & Watkins 1999, "Support vector machines for multi-class pattern recognition"; the course's notes on
    linear classification.  torch.nn.MultiMarginLoss is this divided by the number of classes.
    """

    def value(outputs, targets):
        return shortfalls(outputs, targets, margin).sum(1)

    return classification_loss(value, probabilities=False, curved=False)
