from __future__ import annotations

import jax

from nnrun.loss._classification import classification_loss, of_target
from nnrun.options import Fraction, is_off
from nnrun.types import Loss

__all__ = ["cross_entropy"]


def cross_entropy(label_smoothing: Fraction = 0.0) -> Loss:
    """Cross-entropy of the softmax, for classification with integer labels.

    L = −Σₖ qₖ log softmax(z)ₖ,  qₖ = (1 − s)·[k = label] + s / classes

    label_smoothing   s in [0, 1): how much of the target is spread over all classes (Szegedy et al. 2016)
    Metrics: loss, accuracy.
    Shapes: outputs z (n, classes), targets (n,) int -> (n,).
    """

    def value(outputs, targets):
        log_p = jax.nn.log_softmax(outputs)
        hit = of_target(log_p, targets)[:, 0]
        if is_off(label_smoothing):
            return -hit  # not plus 0 · mean: a class ruled out by a logit of −∞ would make that NaN
        return -(1 - label_smoothing) * hit - label_smoothing * log_p.mean(1)

    return classification_loss(value, likelihood=True)
