from __future__ import annotations

import math

import numpy as np

from nnrun.statistics.measure import Measure
from nnrun.statistics.metric import SIZE, Undefined

__all__ = ["mape"]


def mape() -> Measure:
    """Mean absolute percentage error, as a share of the target: 0.1 is 10%.

    mean of |z − y| / |y|; it can exceed 1, and counts too large predictions more than too small ones.
    Undefined where a target is 0 (scikit-learn divides by 2⁻⁵²).
    Source: as sklearn.metrics.mean_absolute_percentage_error.
    """

    def terms(predictions, targets):
        size = np.abs(targets)
        share = np.abs(predictions - targets) / np.where(size > 0, size, 1.0)
        return np.where(size > 0, share, math.inf)

    def value(averages):
        return averages[0] if math.isfinite(averages[0]) else Undefined("a target is 0")

    return Measure(value, rising=False, classifies=False, terms=terms, bounds=SIZE)
