"""NumPy archives."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from nnrun.amounts import figure
from nnrun.data._check import check
from nnrun.data._npy import open_npz, read_member
from nnrun.data._rounding import check_digits
from nnrun.errors import DataError, counted, one_line
from nnrun.options import FilePath, Standardize
from nnrun.preprocessing import TableFacts
from nnrun.types import Examples, Source

__all__ = ["npz"]

_WHOLE = 2.0**53  # the largest number up to which float64 has every integer


def npz(
    path: FilePath,
    test_path: FilePath | None = None,
    x: str = "x",
    y: str = "y",
    standardize: Standardize = "feature",
    weights: str | None = None,
    classifies: bool | None = None,
    binary: bool = False,
) -> Source:
    """Two arrays of an .npz file: inputs, and labels (integers) or regression targets (floats).

    path         the archive; nothing in it is ever unpickled
    test_path    an archive with the test part; default: a test part is cut from `path`
    x            name of the inputs, (n, ...); images are (n, height, width, channels)
    y            name of the targets, (n,): integers 0 ... k - 1, each of them present, or floats; (n, k) floats are
                 several targets of a regression, (n, k) zeros and ones several labels with loss: binary_cross_entropy
    standardize  "feature": each input its own mean and deviation; "image" is better for images
    weights      name of an array (n,): how much each example of `path` counts in what is minimised, not in metrics
    classifies   whether the loss that the spec names wants labels; nnrun fills it in
    binary       whether it wants several labels; nnrun fills it in

    Inputs of type uint8 and float32 stay so, all others become float64 until they are standardised.
    Raises DataError naming file and array.
    """
    read = _read_labels if binary else _read
    train = read(Path(path), x, y)
    if classifies and train.y.dtype.kind == "f" and (train.y == np.rint(train.y)).all():
        raise DataError(
            f"{one_line(path)}: array '{one_line(y)}': labels saved as {train.y.dtype}; save integers: y.astype(int)"
        )
    labels = train.y.dtype == np.int32
    if labels and classifies is False:
        raise DataError(
            f"{one_line(path)}: array '{one_line(y)}': integers are labels, and the loss is one of numbers; save "
            "floats: y.astype(float), or write loss: cross_entropy if they are labels"
        )
    classes = (
        tuple(map(str, range(_count(train.y, f"{one_line(path)}: array '{one_line(y)}'")))) if labels else ()
    )
    test = None if test_path is None else read(Path(test_path), x, y)
    if test is not None and test.y.dtype.kind != train.y.dtype.kind:
        raise DataError(
            f"{one_line(test_path)}: array '{one_line(y)}': read as {test.y.dtype}, in {one_line(path)} as "
            f"{train.y.dtype}; save both as integers (labels) or both as floats (regression)"
        )
    place = path if test_path is None else f"{path} with {test_path}"
    facts = TableFacts(weights=None if weights is None else _weights(Path(path), weights, len(train.y)))
    pairs = (("0", "1"),) * train.y.shape[1] if binary else ()
    source = check(Source(train, test, classes, standardize, table=facts, label_classes=pairs), place)
    if source.targets:
        _refuse_constant(train.y, f"{one_line(path)}: array '{one_line(y)}'")
    return source


def _refuse_constant(y: np.ndarray, place: str) -> None:
    """Raises DataError where one of several targets (n, k) has one value only."""
    same = np.flatnonzero((y == y[0]).all(0)).tolist()
    if same:
        raise DataError(
            f"{place}: its column {same[0]} is {figure(y[0, same[0]], 6)} in every row, from which nothing is "
            f"learned; leave it out: np.delete(y, {same}, axis=1)"
        )


def _weights(path: Path, name: str, examples: int) -> np.ndarray:
    """(examples,) float64 ≥ 0, not all of them 0."""
    place = f"{one_line(path)}: array '{one_line(name)}'"
    with open_npz(path) as archive:
        values = _floats(read_member(archive, name, path, "write data.weights: NAME"), place).astype(float)
    if values.shape != (examples,):
        raise DataError(f"{place}: shape {values.shape}; needed: a weight for each example, ({examples},)")
    if (values < 0).any():
        first = int((values < 0).argmax())
        raise DataError(
            f"{place}: the weight at index {first} is {figure(values[first], 6)}; write 0 or more"
        )
    if not values.any():
        raise DataError(f"{place}: all weights are 0; write what counts more than nothing")
    return values


def _read(path: Path, x: str, y: str) -> Examples:
    with open_npz(path) as archive:
        inputs, targets = (
            read_member(archive, name, path, f"write data.{option}: NAME")
            for option, name in (("x", x), ("y", y))
        )
    if inputs.dtype == np.uint8:
        inputs = np.ascontiguousarray(inputs)
    else:
        inputs = _floats(inputs, f"{one_line(path)}: array '{one_line(x)}'")
    place = f"{one_line(path)}: array '{one_line(y)}'"
    if targets.ndim == 2 and targets.shape[1] == 1:  # a column, as many tools write it
        targets = targets[:, 0]
    return Examples(inputs, _floats(targets, place) if targets.dtype.kind == "f" else _int32(targets, place))


def _read_labels(path: Path, x: str, y: str) -> Examples:
    """The same, of which y is (n, k) zeros and ones, of any type: several labels."""
    examples, place = _read(path, x, y), f"{one_line(path)}: array '{one_line(y)}'"
    if examples.y.ndim != 2:
        raise DataError(
            f"{place}: shape {examples.y.shape}; needed: (n, k) zeros and ones, a column for each of several labels; "
            "of one label write loss: cross_entropy"
        )
    bad = ~np.isin(examples.y, (0, 1))
    if bad.any():
        first = tuple(map(int, np.argwhere(bad)[0]))
        raise DataError(
            f"{place}: the value at index {first} is {figure(examples.y[first], 6)}; labels of binary_cross_entropy "
            "are 0 and 1"
        )
    return examples._replace(y=examples.y.astype(np.float64))


def _floats(values: np.ndarray, place: str) -> np.ndarray:
    """`values` in float32 if they are that or shorter, else in float64, if all of them are within float32's range."""
    short = values.dtype.itemsize <= 2 or (values.dtype.kind == "f" and values.dtype.itemsize == 4)
    converted = np.ascontiguousarray(values, dtype=np.float32 if short else np.float64)
    with np.errstate(invalid="ignore"):
        bad = ~(np.abs(converted) <= np.finfo(np.float32).max)
    if bad.any():
        first = tuple(map(int, np.unravel_index(int(bad.argmax()), bad.shape)))
        raise DataError(
            f"{place}: {counted(int(bad.sum()), 'value')} {'is' if bad.sum() == 1 else 'are'} NaN, infinite or beyond "
            f"float32, the first at index {first} ({values[first]}); remove or replace them"
        )
    _check_integers(values, converted, place)
    return converted


def _check_integers(values: np.ndarray, converted: np.ndarray, place: str) -> None:
    """Refuses integers that float64 does not tell apart."""
    if values.dtype.kind in "iu" and values.ndim and np.abs(converted).max(initial=0) > _WHOLE:
        columns = zip(values.reshape(len(values), -1).T, converted.reshape(len(values), -1).T, strict=True)
        for column, read in columns:
            check_digits(len(np.unique(column)), len(np.unique(read)), place)


def _int32(labels: np.ndarray, place: str) -> np.ndarray:
    """`labels` in int32, if they fit."""
    limit = np.iinfo(np.int32).max
    if labels.size and (labels.min() < 0 or labels.max() > limit):
        raise DataError(
            f"{place}: labels from {labels.min()} to {labels.max()}; labels are 0, 1, 2, "
            "...; for regression save floats"
        )
    return np.ascontiguousarray(labels, dtype=np.int32)


def _count(labels: np.ndarray, place: str) -> int:
    """How many classes there are, each with an example."""
    present = np.unique(labels)
    if len(present) and present[-1] != len(present) - 1:
        missing = int(np.flatnonzero(present != np.arange(len(present)))[0])
        raise DataError(
            f"{place}: no example has label {missing}, though {int(present[-1])} occurs; labels must be 0 to "
            "k - 1 without gaps (for regression save floats)"
        )
    return len(present)
