"""How a run or an ensemble predicts each class, or each of several labels, of a part of its data."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from nnrun.errors import SpecError, Warn, one_line
from nnrun.prediction.by_member import Counting
from nnrun.prediction.predict import predict_part
from nnrun.report.per_class import PerClass, per_class_of
from nnrun.report.per_label import PerLabel, per_label_of

__all__ = ["classes_of", "counts_of_labels", "no_classes"]


def counts_of_labels(is_there: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """(k, 2, 2) from (n, k) truth values: of each label what examples are, and are predicted to be."""
    label = np.arange(is_there.shape[1])
    counts = np.zeros((len(label), 2, 2), np.int64)
    np.add.at(counts, (label, is_there.astype(np.int64), predicted.astype(np.int64)), 1)
    return counts


def no_classes(folder: Path) -> str:
    """Why there is no table of classes, and what to do."""
    return f"--per-class: {one_line(folder)} predicts numbers; leave it out"


def classes_of(folder: Path, split: str, which: str, warn: Warn, counting: Counting) -> PerClass | PerLabel:
    """The counts of each class or label, what it is predicted to be, and shares, without noise.

    folder   of a run or an ensemble
    Raises SpecError for a regression, and what `predict_part` raises.
    """
    prediction = predict_part(folder, split, which, warn, counting)
    if prediction.targets is not None and prediction.label_classes:
        counts = counts_of_labels(prediction.targets > 0.5, prediction.values > 0.5)
        return per_label_of(prediction.of_targets, prediction.label_classes, counts.tolist())
    if not prediction.classes or prediction.targets is None:
        raise SpecError(no_classes(folder))
    count = len(prediction.classes)
    places = prediction.targets.astype(np.int64) * count + prediction.values.argmax(1)
    confusion = np.bincount(places, minlength=count**2).reshape(count, count)
    return per_class_of(prediction.classes, confusion.tolist())
