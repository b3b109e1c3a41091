"""The true values beside new inputs: in a column, an array, or the folders that images lie in."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import numpy as np

from nnrun.data._column import Column
from nnrun.data._target import labels_in
from nnrun.errors import DataError, one_line

__all__ = ["labels_of_archive", "labels_of_folders", "targets_of_table"]


def targets_of_table(column: Column, classes: tuple[str, ...]) -> np.ndarray:
    """(n,) int32 labels, or float64 numbers where there are no classes.  Raises DataError naming FILE:ROW:COLUMN."""
    return labels_in(column, classes) if classes else column.quantities()


def labels_of_archive(stored: np.ndarray, inputs: int, classes: tuple[str, ...], place: str) -> np.ndarray:
    """(n,) int32 labels or float64 numbers of an array.

    inputs   how many there are
    Labels are the names of the classes if those are all whole numbers, else their positions.  Raises DataError.
    """
    y = stored[:, 0] if stored.ndim == 2 and stored.shape[1] == 1 else stored
    if y.shape != (inputs,):
        raise DataError(f"{place}: has shape {stored.shape}; needed: one value for each of {inputs} inputs")
    if not classes:
        values = y.astype(np.float64)
        if not np.isfinite(values).all():
            first = int((~np.isfinite(values)).argmax())
            raise DataError(f"{place}: the value at index {first} is NaN or infinite; replace it")
        return values
    if y.dtype.kind not in "iu":
        raise DataError(f"{place}: of type {y.dtype}; labels are integers")
    numbers = {int(name): i for i, name in enumerate(classes) if name.isdecimal()}
    if len(numbers) < len(classes):
        numbers = {i: i for i in range(len(classes))}
    unknown = sorted({*np.unique(y).tolist()} - numbers.keys())
    if unknown:
        shown, known = ", ".join(map(str, unknown)), ", ".join(map(str, numbers))
        raise DataError(f"{place}: the run has no label {one_line(shown, 80)}; it has {one_line(known, 80)}")
    return np.array([numbers[label] for label in y.tolist()], np.int32)


def labels_of_folders(folder: Path, files: Sequence[str], classes: tuple[str, ...]) -> np.ndarray:
    """(n,) int32: the label of each image, named by the first folder on its path.

    files   paths in `folder`
    Raises DataError naming all folders that are no classes, and an image that lies in none.
    """
    label = {name: i for i, name in enumerate(classes)}
    tops = [name.partition("/")[0] if "/" in name else "" for name in files]
    unknown = [top for top in dict.fromkeys(tops) if top not in label]
    if "" in unknown:
        _refuse(f"{one_line(folder / files[tops.index('')])}: lies in no folder of a class", classes)
    if unknown:
        _refuse(f"{one_line(folder)}: the run has no class {one_line(', '.join(unknown), 80)}", classes)
    return np.array([label[top] for top in tops], np.int32)


def _refuse(problem: str, classes: tuple[str, ...]) -> NoReturn:
    raise DataError(
        f"{problem}; put each image into a folder of its class: {one_line(', '.join(classes), 80)}"
    )
