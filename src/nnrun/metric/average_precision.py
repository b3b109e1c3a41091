from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nnrun.metric._counts import Label
from nnrun.metric._ranks import one_against_rest
from nnrun.statistics.measure import Measure

__all__ = ["average_precision"]


def average_precision(label: Label = None, classes: Sequence[str] = ()) -> Measure:
    """ClassAverage precision: the precision at each threshold, weighted by the recall that it adds.

    Σᵢ (Rᵢ − Rᵢ₋₁) Pᵢ over the distinct predictions from the largest on,  P: precision, R: recall of all above; chance
    gives the share of the class.

    label   the name of a class: of that class against the rest, for a rare class the one to look at; null: the mean
            over all classes, of two classes both
    The ranking is by the probability of the class; of a hinge loss by how much it leads the best other class.
    All predictions are needed at once.  Undefined where a class has no example.
    Source: as sklearn.metrics.average_precision_score.
    """

    def value(predictions, actual):
        order = np.argsort(-predictions, kind="stable")
        last = np.append(np.diff(predictions[order]) != 0, True)  # of those with an equal prediction
        hits, above = np.cumsum(actual[order])[last], np.flatnonzero(last) + 1
        return (np.diff(hits, prepend=0) / hits[-1]) @ (hits / above)

    return one_against_rest(value, label, classes, two=(0, 1), needs_rest=False)
