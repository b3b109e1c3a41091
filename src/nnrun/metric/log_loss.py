from __future__ import annotations

import numpy as np

from nnrun.statistics.measure import Measure
from nnrun.statistics.metric import SIZE

__all__ = ["log_loss"]


def log_loss() -> Measure:
    """Log loss: minus the mean logarithm of the probability of the right class.

    −log p_y, the cross-entropy without smoothing and weights; a probability below 2⁻⁵² counts as that, as in
    scikit-learn, so that it is at most 36.04.
    Source: as sklearn.metrics.log_loss.
    """

    def terms(predictions, labels):
        of_target = np.take_along_axis(predictions, labels[:, None], axis=1)
        return -np.log(np.maximum(of_target, np.finfo(np.float64).eps))

    return Measure(
        lambda averages: averages[0],
        rising=False,
        classifies=True,
        terms=terms,
        probabilities=True,
        bounds=SIZE,
    )
