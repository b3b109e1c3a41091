"""Rankings of predictions: ranks with ties, and the classes of which each is ranked against the rest."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from nnrun.errors import one_line
from nnrun.metric._counts import Label, position
from nnrun.statistics.measure import Measure
from nnrun.statistics.metric import SHARE, Undefined

__all__ = ["one_against_rest", "ranks"]


def ranks(values: np.ndarray) -> np.ndarray:
    """(n,) -> (n,): ranks 1, 2, ... by rising value; equal values share the mean of theirs."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[place]


def one_against_rest(
    value: Callable[[np.ndarray, np.ndarray], float],
    label: Label,
    classes: Sequence[str],
    two: Sequence[int],
    needs_rest: bool,
) -> Measure:
    """A metric of how a class is ranked against the rest: of the class `label`, or the mean over all classes.

    value        predictions of a class (n,), which examples are of it (n,) -> number
    two          the labels that the mean is over where there are two classes
    needs_rest   whether it is undefined where there are no others
    """
    chosen = position(label, classes)

    def of_all(predictions: np.ndarray, labels: np.ndarray) -> float:
        width = predictions.shape[1]
        of = [chosen] if chosen is not None else two if width == 2 else range(width)
        values = []
        for k in of:
            actual = labels == k
            name = one_line(classes[k] if classes else k, 60)
            if not actual.any():
                return Undefined(f"there is no example of {name}")
            if needs_rest and actual.all():
                return Undefined(f"all examples are of {name}")
            values.append(value(predictions[:, k], actual))
        return float(np.mean(values))

    return Measure(of_all, rising=True, classifies=True, bounds=SHARE)
