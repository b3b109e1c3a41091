from __future__ import annotations

import numpy as np

from nnrun.statistics.measure import Measure
from nnrun.statistics.metric import SIZE

__all__ = ["mae"]


def mae() -> Measure:
    """Mean absolute error, in the units of the target.

    mean of |z − y|
    Source: as sklearn.metrics.mean_absolute_error.
    """

    def terms(predictions, targets):
        return np.abs(predictions - targets)

    return Measure(lambda averages: averages[0], rising=False, classifies=False, terms=terms, bounds=SIZE)
