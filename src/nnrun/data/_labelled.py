"""The true values beside new inputs: in a column, an array, or the folders that images lie in."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import numpy as np

from nnrun.data._column import Table, number
from nnrun.errors import DataError, SpecError, one_line

__all__ = ["labels_of_archive", "labels_of_folders", "names_of_targets"]


def names_of_targets(
    table: Table,
    trained: str | Sequence[str] | None,
    asked: str | None,
    features: Sequence[str],
    targets: Sequence[str],
) -> tuple[str, ...]:
    """The names of the columns of the true values.  Raises SpecError where none is known, or it is a feature.

    trained   the target, or targets, that the run was trained with, where those had names
    asked     the name that was asked for in its place
    targets   names of several targets of the run; () of one
    """
    if targets:
        if asked is not None:
            raise SpecError(
                f"--target {one_line(asked, 40)}: the run has {len(targets)} targets; leave it out, and name their "
                f"columns as in training: {one_line(', '.join(targets), 120)}"
            )
        return tuple(targets)
    if trained is not None and not isinstance(trained, str):
        [trained] = trained
    if asked is not None and asked in features:
        raise SpecError(
            f"--target {one_line(asked, 40)}: is a feature of the run, which cannot be what it predicts; name another "
            "column"
        )
    name = asked or trained
    if name is None:
        raise SpecError(
            f"{table.place}: which column holds the true values? write --target COLUMN; there are "
            f"{one_line(', '.join(table.columns), 120)}"
        )
    return (name,)


def labels_of_archive(
    stored: np.ndarray, inputs: int, classes: tuple[str, ...], place: str, targets: Sequence[str] = ()
) -> np.ndarray:
    """(n,) int32 labels or float64 numbers of an array; of several targets (n, k).

    inputs   how many there are
    targets  names of several targets; () of one
    Labels are the names of the classes if those are all numbers, else their positions.  Raises DataError.
    """
    y = stored[:, 0] if stored.ndim == 2 and stored.shape[1] == 1 else stored
    if y.shape != ((inputs, len(targets)) if targets else (inputs,)):
        needed = f"{len(targets)} values" if targets else "one value"
        raise DataError(f"{place}: has shape {stored.shape}; needed: {needed} for each of {inputs} inputs")
    if not classes:
        values = y.astype(np.float64)
        if not np.isfinite(values).all():
            first = tuple(map(int, np.argwhere(~np.isfinite(values))[0]))
            first = first if targets else first[0]
            raise DataError(f"{place}: the value at index {first} is NaN or infinite; replace it")
        return values
    names = [number(name) for name in classes]
    if None not in names:  # 1 is the class called 1, -1 or 01, wherever it stands
        codes = {name: i for i, name in enumerate(names)}
        if len(codes) < len(classes):
            raise DataError(
                f"{place}: names of classes are one number here ({one_line(', '.join(classes), 80)}); write a table "
                "with their names"
            )
    elif y.dtype.kind in "iu":
        codes = {i: i for i in range(len(classes))}
    else:
        raise DataError(
            f"{place}: of type {y.dtype}; labels are the positions of the classes {one_line(', '.join(classes), 80)}: "
            f"integers from 0 to {len(classes) - 1}"
        )
    unknown = sorted({*np.unique(y).tolist()} - codes.keys())
    if unknown:
        shown, known = ", ".join(map(str, unknown)), ", ".join(f"{name:g}" for name in codes)
        raise DataError(
            f"{place}: the run has no label {one_line(shown, 80)}; it has {one_line(known, 80)}; correct them, or "
            "leave those examples out"
        )
    return np.array([codes[label] for label in y.tolist()], np.int32)


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
