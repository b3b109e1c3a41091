from __future__ import annotations

from nnrun.statistics.measure import Measure
from nnrun.statistics.metric import SHARE

__all__ = ["accuracy"]


def accuracy() -> Measure:
    """Accuracy: the share of the examples whose largest prediction is their class.

    The first of equal predictions counts.  Beside it stands the share of the largest class: what is right where
    everything is predicted to be of that class.
    Source: as sklearn.metrics.accuracy_score.
    """

    def terms(predictions, labels):
        return predictions.argmax(1) == labels

    return Measure(lambda averages: averages[0], rising=True, classifies=True, terms=terms, bounds=SHARE)
