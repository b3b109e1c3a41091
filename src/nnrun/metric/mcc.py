from __future__ import annotations

import math

from nnrun.metric._counts import count_terms, counts_of
from nnrun.statistics.measure import Measure
from nnrun.statistics.metric import CORRELATION, Undefined

__all__ = ["mcc"]


def mcc() -> Measure:
    """Matthews' correlation coefficient of predicted and actual classes, from -1 to 1; 0 is chance.

    (h − Σₖ pₖ aₖ) / √((1 − Σₖ pₖ²)(1 − Σₖ aₖ²)),  h: share that is right, pₖ: predicted to be of k, aₖ: of k

    Undefined where all examples, or all predictions, are of one class (scikit-learn gives 0).
    Source: Matthews 1975; Gorodkin 2004 for more than two classes; as sklearn.metrics.matthews_corrcoef.
    """

    def value(averages):
        counts = counts_of(averages)
        for share, what in ((counts.actual, "examples"), (counts.predicted, "predictions")):
            if (share > 0).sum() < 2:
                return Undefined(f"all {what} are of one class")
        spread = (1 - (counts.predicted**2).sum()) * (1 - (counts.actual**2).sum())
        return (counts.hits.sum() - counts.predicted @ counts.actual) / math.sqrt(spread)

    return Measure(value, rising=True, classifies=True, terms=count_terms, bounds=CORRELATION)
