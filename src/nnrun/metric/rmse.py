from __future__ import annotations

import math

import numpy as np

from nnrun.statistics.measure import Measure
from nnrun.statistics.metric import SIZE

__all__ = ["rmse"]


def rmse() -> Measure:
    """Root mean squared error, in the units of the target.

    √(mean of (z − y)²)
    Source: as sklearn.metrics.root_mean_squared_error.
    """

    def terms(predictions, targets):
        return np.square(predictions - targets)

    return Measure(
        lambda averages: math.sqrt(averages[0]), rising=False, classifies=False, terms=terms, bounds=SIZE
    )
