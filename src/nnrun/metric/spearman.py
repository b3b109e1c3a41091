from __future__ import annotations

import math

from nnrun.metric._ranks import ranks
from nnrun.statistics.measure import Measure
from nnrun.statistics.metric import CORRELATION, Undefined

__all__ = ["spearman"]


def spearman() -> Measure:
    """Spearman's rank correlation of predictions and targets, from -1 to 1.

    Pearson's correlation of their ranks; equal values share the mean of their ranks.  All predictions are needed at
    once.  Undefined where all targets, or all predictions, are equal.
    Source: Spearman 1904; as scipy.stats.spearmanr.
    """

    def value(predictions, targets):
        a, b = (ranks(values) for values in (predictions, targets))
        a, b = a - a.mean(), b - b.mean()
        for size, what in ((b @ b, "targets"), (a @ a, "predictions")):
            if size == 0:
                return Undefined(f"all {what} are equal")
        return a @ b / math.sqrt((a @ a) * (b @ b))

    return Measure(value, rising=True, classifies=False, bounds=CORRELATION)
