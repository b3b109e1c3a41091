from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nnrun.options import Count
from nnrun.statistics.measure import Measure
from nnrun.statistics.metric import SHARE

__all__ = ["top_k"]


def top_k(k: Count = 5, classes: Sequence[str] = ()) -> Measure:
    """Top-k accuracy: the share of the examples whose class is among the k largest predictions.

    k   fewer than there are classes
    Of equal predictions the later class counts as the larger, as in scikit-learn.
    Source: as sklearn.metrics.top_k_accuracy_score.
    """
    if classes and k >= len(classes):
        raise ValueError(
            f"of {len(classes)} classes one of the {k} largest is always right; write k below {len(classes)}"
        )

    def terms(predictions, labels):
        of_target = np.take_along_axis(predictions, labels[:, None], axis=1)
        later = np.arange(predictions.shape[1]) > labels[:, None]
        return ((predictions > of_target) | ((predictions == of_target) & later)).sum(1) < k

    return Measure(lambda averages: averages[0], rising=True, classifies=True, terms=terms, bounds=SHARE)
