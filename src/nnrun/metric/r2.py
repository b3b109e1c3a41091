from __future__ import annotations

import math

import numpy as np

from nnrun.statistics.measure import Measure
from nnrun.statistics.metric import Undefined

__all__ = ["r2"]

_ROUNDING = 1e-12  # what sums of float64 squares leave of a variance of 0


def r2(target_shift: float = 0.0) -> Measure:
    """Coefficient of determination: the share of the variance of the targets that is explained.

    1 − Σ(z − y)² / Σ(y − ȳ)²,  ȳ: the mean of the part; 0 for predicting that mean, negative for worse

    Sums are taken around `target_shift`, the mean of the training part.  Undefined where all targets are equal.
    Source: as sklearn.metrics.r2_score.
    """

    def terms(predictions, targets):
        moved = targets - target_shift
        return np.stack([np.square(predictions - targets), moved, np.square(moved)], axis=1)

    def value(averages):
        error, mean, square = averages
        variance = square - mean**2
        if variance <= _ROUNDING * square:
            return Undefined("all targets are equal")
        return 1 - error / variance

    return Measure(value, rising=True, classifies=False, terms=terms, bounds=(-math.inf, 1.0))
