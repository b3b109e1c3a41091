from __future__ import annotations

from collections.abc import Sequence

from nnrun.metric._counts import ClassAverage, Label, of_classes
from nnrun.statistics.measure import Measure

__all__ = ["precision"]


def precision(average: ClassAverage = "macro", label: Label = None, classes: Sequence[str] = ()) -> Measure:
    """Precision: the share of what is predicted to be of a class that is of it.

    precisionₖ = hitsₖ / predictedₖ

    average   macro: the mean over the classes that have examples or are predicted; micro: of the sums over classes,
              which is the accuracy
    label     the name of a class: of that class alone
    Undefined where a class that has examples is never predicted (scikit-learn counts it as 0, with a warning).
    Source: as sklearn.metrics.precision_score.
    """

    def ratio(counts):
        return counts.hits, counts.predicted

    return of_classes(ratio, "there is no prediction of", average, label, classes)
