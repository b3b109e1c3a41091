"""The true values beside new inputs: in a column, an array, or the folders that images lie in."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from typing import NoReturn

import numpy as np

from nnrun.amounts import figure
from nnrun.data._column import Table, number
from nnrun.data._near import nearest
from nnrun.errors import DataError, SpecError, one_line
from nnrun.preprocessing import Preprocessing

__all__ = [
    "array_of_targets",
    "check_columns",
    "check_present",
    "labels_of_archive",
    "labels_of_folders",
    "names_of_targets",
]

_ROOM = 240  # characters for the columns that a message names


def names_of_targets(
    table: Table,
    trained: str | Sequence[str] | None,
    asked: Sequence[str],
    features: Sequence[str],
    targets: Sequence[str],
) -> tuple[str, ...]:
    """The names of the columns of the true values.  Raises SpecError where none is known, or it is a feature.

    trained   the target, or targets, that the run was trained with, where those had names
    asked     the name that was asked for in its place; of several targets TARGET=COLUMN for each that has another
    targets   names of several targets of the run; () of one
    """
    if targets:
        return _renamed(asked, features, targets)
    if len(asked) > 1:
        raise SpecError(f"--target {one_line(asked[1], 40)}: the run has one target; write it once")
    if trained is not None and not isinstance(trained, str):
        [trained] = trained
    _refuse_features(asked, features)
    name = asked[0] if asked else trained
    if name is None:
        raise SpecError(
            f"{table.place}: which column holds the true values? write --target COLUMN; there are "
            f"{one_line(', '.join(table.columns), 120)}"
        )
    return (name,)


def _renamed(asked: Sequence[str], features: Sequence[str], targets: Sequence[str]) -> tuple[str, ...]:
    """The column of each of several targets, in their order: that of its name, or the one that TARGET=COLUMN names."""
    columns = {target: target for target in targets}
    renamed: set[str] = set()
    for text in asked:
        fitting = [target for target in targets if text.startswith(f"{target}=") and text != f"{target}="]
        if not fitting:
            raise SpecError(
                f"--target {one_line(text, 40)}: the run has {len(targets)} targets; write --target TARGET=COLUMN for "
                f"each whose column has another name: {one_line(', '.join(targets), 120)}"
            )
        target = max(fitting, key=len)  # of a and a=b, both of which are targets
        if target in renamed:
            raise SpecError(f"--target {one_line(text, 40)}: names a column of this target again; write one")
        renamed.add(target)
        columns[target] = text.removeprefix(f"{target}=")
    _refuse_features([columns[target] for target in renamed], features)
    names = tuple(columns.values())
    if twice := [name for name in names if names.count(name) > 1]:
        raise SpecError(
            f"--target: column '{one_line(twice[0], 40)}' would be that of two targets; name another for one of them"
        )
    return names


def _refuse_features(asked: Sequence[str], features: Sequence[str]) -> None:
    """Raises SpecError for a column that is to hold true values, and is what the run predicts from."""
    for name in asked:
        if name in features:
            raise SpecError(
                f"--target {one_line(name, 40)}: is a feature of the run, which cannot be what it predicts; name "
                "another column"
            )


def check_columns(table: Table, features: Sequence[str], keep: Sequence[str], targets: Sequence[str]) -> None:
    """Raises DataError naming all columns that are missing."""
    wanted = dict.fromkeys(features, "")
    wanted |= {name: "--keep" for name in keep if name not in wanted}
    wanted |= {name: "the true values" for name in targets if name not in wanted}
    check_present(f"{table.place}:1", wanted, table.columns)


def check_present(place: str, wanted: Sequence[str] | Mapping[str, str], present: Collection[str]) -> None:
    """Raises DataError naming all columns that are missing, each with the one that may be meant.

    wanted   names of columns, and what is said of them
    """
    words = wanted if isinstance(wanted, Mapping) else dict.fromkeys(wanted, "")
    missing = [name for name in words if name not in present]
    if not missing:
        return
    others = [name for name in present if name not in words]
    shown = []
    for name in missing:
        near = nearest(name, others)
        hint = f"did you mean '{one_line(near, 40)}'?" if near else ""
        beside = "; ".join(filter(None, (words[name], hint)))
        shown.append(f"'{one_line(name, 40)}'{f' ({beside})' if beside else ''}")
    raise DataError(
        f"{place}: there is no column {_as_many(shown)}; there are "
        f"{one_line(', '.join(present), 120) or 'none'}"
    )


def _as_many(shown: Sequence[str]) -> str:
    """What is said of missing columns, of those for which there is room, and how many more there are."""
    fitting = [
        said
        for said, end in zip(shown, accumulate(len(said) + 2 for said in shown), strict=True)
        if end <= _ROOM
    ] or [*shown[:1]]
    more = len(shown) - len(fitting)
    return one_line(", ".join(fitting), 2 * _ROOM) + (f" and {more} more" if more else "")


def array_of_targets(asked: Sequence[str], trained: str) -> str:
    """The name of the array of the true values, of one target or of several.  Raises SpecError."""
    if len(asked) > 1:
        raise SpecError(
            f"--target {one_line(asked[1], 40)}: an .npz has one array of true values; write its name once"
        )
    return asked[0] if asked else trained


def labels_of_archive(stored: np.ndarray, inputs: int, fitted: Preprocessing, place: str) -> np.ndarray:
    """(n,) int32 labels or float64 numbers of an array; of several targets (n, k).

    inputs   how many there are
    fitted   to the training data: classes, and names of several targets
    Labels are the names of the classes if those are all numbers, else their positions; several are 0 and 1, float64.
    Raises DataError.
    """
    classes, targets = fitted.classes, fitted.targets
    y = stored[:, 0] if stored.ndim == 2 and stored.shape[1] == 1 else stored
    if y.shape != ((inputs, len(targets)) if targets else (inputs,)):
        needed = f"{len(targets)} values" if targets else "one value"
        raise DataError(f"{place}: has shape {stored.shape}; needed: {needed} for each of {inputs} inputs")
    if fitted.label_classes:
        of_labels = zip(y.T, fitted.label_classes, targets, strict=True)
        codes = [
            _codes(column, pair, f"{place}, label {one_line(name, 40)}") for column, pair, name in of_labels
        ]
        return np.stack(codes, axis=1).astype(np.float64)
    if not classes:
        values = y.astype(np.float64)
        if not np.isfinite(values).all():
            first = tuple(map(int, np.argwhere(~np.isfinite(values))[0]))
            first = first if targets else first[0]
            raise DataError(f"{place}: the value at index {first} is NaN or infinite; replace it")
        return values
    return _codes(y, classes, place)


def _codes(y: np.ndarray, classes: tuple[str, ...], place: str) -> np.ndarray:
    """(n,) int32: the position of the class that each number is the name of, or else is itself."""
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
        shown, known = (
            ", ".join(map(str, unknown)),
            ", ".join(figure(name, 6) for name in codes if name is not None),
        )
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
    if not classes:
        raise SpecError(
            f"{one_line(folder)}: the run predicts no classes, which are all that the names of folders can say; give a "
            "data set of Hugging Face's datasets with a column of the true values"
        )
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
