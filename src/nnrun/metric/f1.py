from __future__ import annotations

from collections.abc import Sequence

from nnrun.metric._counts import ClassAverage, Label, of_classes
from nnrun.statistics.measure import Measure

__all__ = ["f1"]


def f1(average: ClassAverage = "macro", label: Label = None, classes: Sequence[str] = ()) -> Measure:
    """F1: the harmonic mean of precision and recall, of a class or over the classes.

    F1ₖ = 2 hitsₖ / (predictedₖ + examplesₖ)

    average   macro: the mean over the classes that have examples or are predicted; micro: of the sums over classes,
              which is the accuracy
    label     the name of a class: of that class alone
    A class without examples that is never predicted is left out of the mean; of such a class alone it is undefined.
    Source: van Rijsbergen 1979, "Information retrieval"; as sklearn.metrics.f1_score.
    """

    def ratio(counts):
        return 2 * counts.hits, counts.predicted + counts.actual

    return of_classes(ratio, "there is neither an example nor a prediction of", average, label, classes)
