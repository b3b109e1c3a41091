"""How a run or an ensemble predicts each class of a part of its data."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy as np

from nnrun.errors import SpecError, Warn, one_line
from nnrun.prediction.by_member import Counting
from nnrun.prediction.predict import predict_part
from nnrun.report.per_class import PerClass, per_class_of

__all__ = ["classes_of", "no_classes"]


class _Task(Protocol):
    """What is predicted: a prediction, or what was fitted to training data."""

    @property
    def label_classes(self) -> tuple[tuple[str, str], ...]: ...


def no_classes(folder: Path, task: _Task) -> str:
    """Why there is no table of classes, and what to do."""
    if task.label_classes:
        return (
            f"--per-class: {one_line(folder)} predicts several labels, and the table is one of classes; leave it out, "
            "and write --metric precision --metric recall, which are shown for each label"
        )
    return f"--per-class: {one_line(folder)} predicts numbers; leave it out"


def classes_of(folder: Path, split: str, which: str, warn: Warn, counting: Counting) -> PerClass:
    """The counts of each class, what it is predicted to be, and shares, without noise.

    folder   of a run or an ensemble
    Raises SpecError for a regression, and what `predict_part` raises.
    """
    prediction = predict_part(folder, split, which, warn, counting)
    if not prediction.classes or prediction.targets is None:
        raise SpecError(no_classes(folder, prediction))
    count = len(prediction.classes)
    places = prediction.targets.astype(np.int64) * count + prediction.values.argmax(1)
    confusion = np.bincount(places, minlength=count**2).reshape(count, count)
    return per_class_of(prediction.classes, confusion.tolist())
