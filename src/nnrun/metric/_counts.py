"""How often classes are predicted and right: what metrics of labels are made of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

import numpy as np

from nnrun.errors import one_line
from nnrun.statistics.measure import Measure
from nnrun.statistics.metric import SHARE, Undefined

__all__ = ["ClassAverage", "Counts", "Label", "count_terms", "counts_of", "of_classes", "position"]

ClassAverage = Literal["macro", "micro"]
Label = str | int | None  # the name of a class

_SHOWN = 5  # names of classes in a message


class Counts(NamedTuple):
    """Shares of the examples, for each class (classes,).

    hits        its examples that are predicted to be of it
    predicted   all that are predicted to be of it
    actual      its examples
    """

    hits: np.ndarray
    predicted: np.ndarray
    actual: np.ndarray


def count_terms(predictions: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """(n, 3 · classes): hits, predicted and actual of each class; the first of equal predictions counts."""
    every = np.arange(predictions.shape[1])
    predicted, actual = predictions.argmax(1)[:, None] == every, labels[:, None] == every
    return np.concatenate([predicted & actual, predicted, actual], axis=1).astype(np.float64)


def counts_of(averages: np.ndarray) -> Counts:
    """What `count_terms` counts, of averages (3 · classes,)."""
    return Counts(*averages.reshape(3, -1))


def position(label: Label, classes: Sequence[str]) -> int | None:
    """The label of the class of this name; None for None.  Raises ValueError with the names that there are."""
    if label is None or not classes:
        return None
    if str(label) not in classes:
        names = one_line(", ".join(classes), 200)
        raise ValueError(f"there is no class {one_line(label, 40)!r}; the classes are {names}")
    return classes.index(str(label))


def of_classes(
    ratio: Callable[[Counts], tuple[np.ndarray, np.ndarray]],
    missing: str,
    average: ClassAverage,
    label: Label,
    classes: Sequence[str],
) -> Measure:
    """A metric that is a ratio of counts, of a class or over all classes.

    ratio     counts of some classes -> numerators and denominators (classes,)
    missing   what a class lacks whose denominator is 0
    average, label   macro: the mean over classes that have examples or are predicted; micro: of the sums over classes;
                     with a label, of that class alone
    Raises ValueError for a label beside micro.
    """
    chosen = position(label, classes)
    if label is not None and average == "micro":
        raise ValueError("micro is over all classes, and label asks for one; leave one of the two out")

    def value(averages: np.ndarray) -> float:
        counts = counts_of(averages)
        above, below = ratio(counts)
        if chosen is not None:
            return (
                float(above[chosen] / below[chosen])
                if below[chosen]
                else _lacking([chosen], missing, classes)
            )
        if average == "micro":
            return float(above.sum() / below.sum())
        seen = (counts.actual > 0) | (counts.predicted > 0)
        empty = np.flatnonzero(seen & (below == 0))
        return _lacking(empty, missing, classes) if len(empty) else float((above[seen] / below[seen]).mean())

    return Measure(value, rising=True, classifies=True, terms=count_terms, bounds=SHARE)


def _lacking(labels: Sequence[int] | np.ndarray, missing: str, classes: Sequence[str]) -> Undefined:
    names = [classes[label] if classes else str(label) for label in labels]
    rest = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return Undefined(f"{missing} {one_line(', '.join(names[:_SHOWN]), 80)}{rest}")
