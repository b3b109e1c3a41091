from __future__ import annotations

import numpy as np

from nnrun.options import Count
from nnrun.statistics.measure import Measure
from nnrun.statistics.metric import SHARE

__all__ = ["calibration_error"]


def calibration_error(bins: Count = 15) -> Measure:
    """Expected calibration error: how far the accuracy is from the confidence, in bins of the confidence.

    Σ_b (n_b / n) |accuracy_b − confidence_b|,  confidence: the largest probability, bin b: (b / bins, (b + 1) / bins]

    bins   of equal width; more bins raise it where there are few examples
    Source: Guo et al. 2017, "On calibration of modern neural networks", equation 3.
    """

    def terms(predictions, labels):
        confidence, right = predictions.max(1), predictions.argmax(1) == labels
        place = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
        return (right - confidence)[:, None] * (place[:, None] == np.arange(bins))

    return Measure(
        lambda averages: np.abs(averages).sum(),
        rising=False,
        classifies=True,
        terms=terms,
        probabilities=True,
        bounds=SHARE,
    )
