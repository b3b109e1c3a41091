from __future__ import annotations

import numpy as np

from nnrun.statistics.measure import Measure
from nnrun.statistics.metric import SIZE

__all__ = ["median_absolute_error"]


def median_absolute_error() -> Measure:
    """Median absolute error, in the units of the target: half of the errors are smaller.

    median of |z − y|; single far targets do not move it.  All predictions are needed at once.
    Source: as sklearn.metrics.median_absolute_error.
    """

    def value(predictions, targets):
        return np.median(np.abs(predictions - targets))

    return Measure(value, rising=False, classifies=False, bounds=SIZE)
