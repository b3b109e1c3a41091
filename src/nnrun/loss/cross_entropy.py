from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp

from nnrun.loss._class_weight import ClassWeight, weights_of
from nnrun.loss._classification import at_target, classification_loss
from nnrun.options import Fraction, is_off
from nnrun.types import Loss

__all__ = ["cross_entropy"]


def cross_entropy(
    label_smoothing: Fraction = 0.0,
    class_weight: ClassWeight = None,
    classes: Sequence[str] = (),
    class_counts: Sequence[int] = (),
) -> Loss:
    """Cross-entropy of the softmax, for classification with integer labels.

    L = −Σₖ qₖ log softmax(z)ₖ,  qₖ = (1 − s)·[k = label] + s / classes

    label_smoothing   s in [0, 1): how much of the target is spread over all classes (Szegedy et al. 2016)
    class_weight      balanced, or weights by the names of classes, 1 for the others: the loss is the weighted mean
                      Σᵢ w_{yᵢ} Lᵢ / Σᵢ w_{yᵢ} over a batch, or over a part that is evaluated; with smoothing
                      Lᵢ w_{yᵢ} is −Σₖ wₖ qₖ log pₖ, as in torch.  balanced: wₖ = n / (K nₖ) from the nₖ of the n
                      examples of the training part that are of class k of K, as in scikit-learn
    Metrics: `loss`, `accuracy` (which is not weighted).
    Shapes: outputs z (n, classes), targets (n,) int -> (n,).
    """

    weights = weights_of(class_weight, classes, class_counts)

    def value(outputs, targets):
        log_p = jax.nn.log_softmax(outputs)
        if weights is not None:
            log_p = jnp.asarray(weights, outputs.dtype)[None] * log_p
        hit = at_target(log_p, targets)[:, 0]
        if is_off(label_smoothing):
            return -hit  # not plus 0 · mean: a class ruled out by a logit of −∞ would make that NaN
        return -(1 - label_smoothing) * hit - label_smoothing * log_p.mean(1)

    return classification_loss(value, likelihood=weights is None, weights=weights)
