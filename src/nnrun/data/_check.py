"""What every data set must satisfy before anything is trained on it."""

from __future__ import annotations

from typing import get_args

import numpy as np

from nnrun.errors import DataError, counted, one_line
from nnrun.options import Standardize
from nnrun.rows import Rows
from nnrun.types import Examples, Source

__all__ = ["check"]

_FLOATS = (np.float32, np.float64)
_CHUNK = 1 << 22  # values looked at a time: 16 MiB


def check(source: Source, place: str) -> Source:
    """`source`, if it can be trained on; `place` (a file, or the name of a set) begins the message if not.

    Inputs are (n, *shape) uint8, float32 or float64, finite, with at least one axis beside n, targets (n,) int32
    labels in 0 ... k - 1 for the k ≥ 2 class names, or (n,) finite floats where there are none, of several targets
    (n, k), whose names are counted where they have none; several labels are such targets, 0 or 1.  Training needs two
    examples and two classes; a test part has the shape and type of the training part.  Else DataError.
    """
    where = one_line(place)
    if source.standardize not in get_args(Standardize):
        raise DataError(
            f"{where}: standardize is '{one_line(source.standardize)}'; it is feature, image or none"
        )
    one_hot = bool(source.label_classes)  # of several labels, one for each example is nothing odd
    _check_part(source.train, source.classes, f"{where}: training part", at_least=2, one_hot=one_hot)
    if source.classes and (len(source.classes) < 2 or len(set(source.classes)) < len(source.classes)):
        reason = (
            "every target is the same" if len(source.classes) == 1 else f"{len(source.classes)} class names"
        )
        raise DataError(f"{where}: {reason}; there must be at least two classes, all different")
    if source.classes and (source.train.y == source.train.y[0]).all():
        raise DataError(
            f"{where}: every example is of class {int(source.train.y[0])}; two classes are needed"
        )
    width = sum(column.width for column in source.columns)
    if source.columns and source.train.x.shape[1:] != (width,):
        raise DataError(
            f"{where}: its columns stand for {width} inputs, and inputs have shape {source.train.x.shape[1:]}; "
            "name each feature once, or none"
        )
    if source.test is not None:
        _check_part(source.test, source.classes, f"{where}: test part", at_least=1, one_hot=one_hot)
        _check_alike(source.train, source.test, where)
    names = _target_names(source, where)
    _check_pairs(source, names, where)
    return source if names == source.targets else source._replace(targets=names)


def _target_names(source: Source, where: str) -> tuple[str, ...]:
    """The names of several targets, 0, 1, ... where they have none; () where there is one."""
    shape, names = source.train.y.shape[1:], source.targets
    if not names or not shape:
        if names:
            raise DataError(f"{where}: names of several targets, and there is one; leave them out")
        return tuple(map(str, range(*shape))) if shape else ()
    if len(names) != shape[0] or len(set(names)) < len(names):
        raise DataError(
            f"{where}: {len(set(names))} different names for {shape[0]} targets; give each a name of its own"
        )
    return tuple(map(str, names))


def _check_pairs(source: Source, names: tuple[str, ...], where: str) -> None:
    """Refuses several labels that are not 0 and 1, or whose classes are not two for each."""
    pairs = source.label_classes
    if not pairs:
        return
    if source.classes or len(pairs) != len(names) or any(len({*pair}) != 2 for pair in pairs):
        raise DataError(
            f"{where}: label_classes of {len(pairs)} labels for {len(names)} targets; needed: two names for each of "
            "several labels, and no classes beside"
        )
    for part in filter(None, (source.train, source.test)):
        if not np.isin(part.y, (0, 1)).all():
            raise DataError(f"{where}: labels other than 0 and 1 with label_classes; write 0.0 and 1.0")


def _check_part(
    part: Examples, classes: tuple[str, ...], where: str, at_least: int, one_hot: bool = False
) -> None:
    """one_hot   whether targets of which one is 1, the others 0, are meant."""
    x, y = part
    if x.ndim < 2 or 0 in x.shape[1:]:
        raise DataError(
            f"{where}: inputs of shape {x.shape}; needed: (examples, ...) with at least one input"
        )
    if (
        not one_hot
        and y.ndim == 2
        and y.shape[1] > 1
        and bool(np.isin(y, (0, 1)).all() and (y.sum(1) == 1).all())
    ):
        raise DataError(
            f"{where}: targets of shape {y.shape} are one-hot; needed: one number for each example: y.argmax(1)"
        )
    if y.ndim > 1 and classes:
        raise DataError(
            f"{where}: labels of shape {y.shape}; needed: one for each example; several labels are "
            "floats, 0.0 and 1.0, with label_classes in place of classes; several targets of a regression are floats"
        )
    if y.ndim not in (1, 2) or (y.ndim == 2 and y.shape[1] < 2):
        raise DataError(
            f"{where}: targets of shape {y.shape}; needed: one number for each example, (n,), or several, (n, k): "
            "y.reshape(len(y), -1), or y[:, 0] of one"
        )
    if len(x) != len(y):
        raise DataError(
            f"{where}: {counted(len(x), 'input')} but {counted(len(y), 'target')}; there must be as many"
        )
    if len(x) < at_least:
        raise DataError(f"{where}: {counted(len(x), 'example')}; at least {at_least} are needed")
    if x.dtype not in (np.uint8, *_FLOATS):
        raise DataError(f"{where}: inputs of type {x.dtype}; needed: uint8, float32 or float64")
    _check_channels(x.shape, where)
    if x.dtype in _FLOATS:
        _check_finite(x, f"{where}: inputs")
    if not classes:
        if y.dtype not in _FLOATS:
            raise DataError(
                f"{where}: targets of type {y.dtype} without class names; needed: float32 or float64"
            )
        _check_finite(y, f"{where}: targets")
    else:
        _check_labels(y, len(classes), where)


def _check_channels(shape: tuple[int, ...], where: str) -> None:
    """Refuses images whose channels come first: they would train as images of three rows."""
    if len(shape) == 4 and shape[1] in (1, 3) and min(shape[2:]) > 4:
        n, c, h, w = shape
        raise DataError(
            f"{where}: inputs of shape {shape} look like images with their channels first; nnrun takes "
            f"(n, height, width, channels), ({n}, {h}, {w}, {c}): save x.transpose(0, 2, 3, 1)"
        )


def _check_finite(values: np.ndarray | Rows, where: str) -> None:
    count, first = 0, ()
    rows = max(1, _CHUNK // max(1, int(np.prod(values.shape[1:]))))
    for start in range(0, len(values), rows):
        bad = ~np.isfinite(values[start : start + rows])
        if bad.any() and not count:
            row, *rest = np.unravel_index(int(bad.argmax()), bad.shape)
            first = (start + int(row), *map(int, rest))
        count += int(bad.sum())
    if count:
        raise DataError(
            f"{where}: {counted(count, 'value')} {'is' if count == 1 else 'are'} NaN or infinite, the first at index "
            f"{first}; remove or replace them"
        )


def _check_labels(y: np.ndarray, classes: int, where: str) -> None:
    if y.dtype != np.int32:
        raise DataError(f"{where}: labels of type {y.dtype}; needed: int32")
    bad = (y < 0) | (y >= classes)
    if bad.any():
        first = int(bad.argmax())
        raise DataError(
            f"{where}: {counted(int(bad.sum()), 'label')} out of range, the first {int(y[first])} at index {first}; "
            f"labels of {classes} classes are 0 to {classes - 1}"
        )


def _check_alike(train: Examples, test: Examples, where: str) -> None:
    for name, ours, theirs in (
        ("shape", train.x.shape[1:], test.x.shape[1:]),
        ("type", train.x.dtype, test.x.dtype),
        ("targets", train.y.shape[1:], test.y.shape[1:]),
    ):
        if ours != theirs:
            raise DataError(
                f"{where}: an input of the training part has {name} {ours}, of the test part {theirs}; "
                "they must agree"
            )
