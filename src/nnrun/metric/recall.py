from __future__ import annotations

from collections.abc import Sequence

from nnrun.metric._counts import ClassAverage, Label, of_classes
from nnrun.statistics.measure import Measure

__all__ = ["recall"]


def recall(average: ClassAverage = "macro", label: Label = None, classes: Sequence[str] = ()) -> Measure:
    """Recall: the share of the examples of a class that is predicted to be of it.

    recallₖ = hitsₖ / examplesₖ

    average   macro: the mean over the classes that have examples or are predicted; micro: of the sums over classes,
              which is the accuracy
    label     the name of a class: of that class alone
    Undefined where a class that is predicted has no example (scikit-learn counts it as 0, with a warning).
    Source: as sklearn.metrics.recall_score.
    """

    def ratio(counts):
        return counts.hits, counts.actual

    return of_classes(ratio, "there is no example of", average, label, classes)
