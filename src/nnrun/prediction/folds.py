"""Members that are folds of a cross-validation: what they cannot be asked for, and numbers in units of another."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from nnrun.errors import SpecError, Warn, one_line
from nnrun.prediction.models import SharedModel
from nnrun.preprocessing import Preprocessing
from nnrun.record import preprocessing
from nnrun.runner.group import is_fold

__all__ = ["check_part", "in_units_of", "units_of", "warn_of_best"]


def check_part(folders: Sequence[Path], split: str | None) -> None:
    """Raises SpecError where several folds would be measured on examples that some of them were trained on.

    split   the part of the data, None: new inputs
    """
    if split not in (None, "test") and len(folders) > 1 and any(map(is_fold, folders)):
        raise SpecError(
            f"--split {split}: {one_line(folders[0].parent)} averages folds, each of which was trained on what others "
            "validate with; write --split test"
        )


def warn_of_best(which: str, warn: Warn) -> None:
    """Warns where the checkpoints of folds were chosen by the examples that they are measured on."""
    if which == "best":
        warn(
            "the best step of each fold was chosen by its validation part, so on that it looks too good; write "
            "--checkpoint last"
        )


def units_of(folders: Sequence[Path], index: int) -> Preprocessing | None:
    """In whose units numbers of several members are averaged: of one fold; None where all have the same anyway."""
    return preprocessing.read(folders[index]) if any(map(is_fold, folders)) else None


def in_units_of(fitted: Preprocessing | None, model: SharedModel, outputs: np.ndarray) -> np.ndarray:
    """Outputs (n, ...) of a model as those of one with another preprocessing.

    Each fold standardises the numbers that it predicts by its own training part.  Of labels, and of models with the
    same mean and deviation, they are returned as they are.
    """
    if fitted is None or fitted.classes:
        return outputs
    of_model = model.experiment.dataset.fitted
    if of_model.has_units_of(fitted):
        return outputs
    return fitted.from_units(of_model.to_units(outputs)).reshape(outputs.shape).astype(outputs.dtype)
