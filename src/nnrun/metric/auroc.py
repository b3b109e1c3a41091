from __future__ import annotations

from collections.abc import Sequence

from nnrun.metric._counts import Label
from nnrun.metric._ranks import one_against_rest, ranks
from nnrun.statistics.measure import Measure

__all__ = ["auroc"]


def auroc(label: Label = None, classes: Sequence[str] = ()) -> Measure:
    """Area under the ROC curve: how often an example of a class is ranked above one of the rest; ½ is chance.

    (Σ ranks of its examples − P (P + 1) / 2) / (P N),  P: its examples, N: the others; ties count ½

    label   the name of a class: of that class against the rest; null: the mean over all classes, which for two classes
            is the area of either
    The ranking is by the probability of the class; of a hinge loss by how much it leads the best other class.
    All predictions are needed at once.  Undefined where a class has no example, or all examples.
    Source: Hanley & McNeil 1982, "The meaning and use of the area under a ROC curve"; as
    sklearn.metrics.roc_auc_score(multi_class="ovr").
    """

    def value(predictions, actual):
        positive, negative = int(actual.sum()), int((~actual).sum())
        above = ranks(predictions)[actual].sum() - positive * (positive + 1) / 2
        return above / (positive * negative)

    return one_against_rest(value, label, classes, two=(1,), needs_rest=True)
