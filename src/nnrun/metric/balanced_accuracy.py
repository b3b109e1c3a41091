from __future__ import annotations

from nnrun.metric._counts import count_terms, counts_of
from nnrun.statistics.measure import Measure
from nnrun.statistics.metric import SHARE

__all__ = ["balanced_accuracy"]


def balanced_accuracy() -> Measure:
    """Balanced accuracy: the mean over the classes of the share of their examples that is right.

    1/K Σₖ hitsₖ / examplesₖ over the K classes that have examples.  Each class counts the same, however rare it is:
    predicting one class always gives 1/K.
    Source: Brodersen et al. 2010, "The balanced accuracy and its posterior distribution"; as
    sklearn.metrics.balanced_accuracy_score.
    """

    def value(averages):
        counts = counts_of(averages)
        present = counts.actual > 0
        return (counts.hits[present] / counts.actual[present]).mean()

    return Measure(value, rising=True, classifies=True, terms=count_terms, bounds=SHARE)
