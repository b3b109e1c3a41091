"""What is fitted to the training part, and data brought to it: around the mean, rounded, targets in its units."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import numpy as np

from nnrun.amounts import figure
from nnrun.data._absent import Absent
from nnrun.data._moments import moments
from nnrun.data._rounding import check_distinct, rounded
from nnrun.data._rows import StoredRows
from nnrun.errors import DataError
from nnrun.preprocessing import PARTS, Part, Preprocessing
from nnrun.rows import Rows
from nnrun.types import Dataset, Examples, Source

__all__ = ["fit", "new_inputs", "standardised"]


def fit(train: Examples, source: Source, parts: dict[str, Part], positive: bool = False) -> Preprocessing:
    """Mean and deviation of the inputs and targets of a training part, in float64, beside the names of the source.

    positive   whether targets are counts, which are not moved: their unit is their mean
    """
    shift, deviation = moments(train.x, source.standardize)
    target_shift, target_scale = (0.0, 1.0) if source.classes else _units(train.y, positive)
    if source.label_classes:  # 0 and 1 stay what they are
        target_shift, target_scale = np.zeros(train.y.shape[1]), np.ones(train.y.shape[1])
    return Preprocessing(
        classes=source.classes,
        columns=source.columns,
        shape=tuple(map(int, train.x.shape[1:])),
        dtype=train.x.dtype.name,
        shift=shift,
        scale=_positive(deviation),
        target_shift=target_shift,
        target_scale=target_scale,
        parts=parts,
        targets=source.targets,
        label_classes=source.label_classes,
    )


def _units(y: np.ndarray, positive: bool) -> tuple[float | np.ndarray, float | np.ndarray]:
    """Shift and scale of targets (n,); of several (n, k) each has its own, (k,)."""
    mean, spread = moments(y.astype(np.float64), "image" if y.ndim == 1 else "feature")
    shift, scale = (np.zeros_like(mean), mean) if positive else (mean, np.where(spread > 0, spread, 1.0))
    return (float(shift), float(scale)) if y.ndim == 1 else (shift, scale)


def _positive(deviation: np.ndarray) -> np.ndarray:
    """What does not vary is divided by 1, also where it does so only beyond float32."""
    return np.where(deviation.astype(np.float32) > 0, deviation, 1.0)


def standardised(parts: Mapping[str, Examples], fitted: Preprocessing, precision: np.dtype) -> Dataset:
    """The parts of the data as programs take them.

    parts      train, val and test as the source has them; of one whose content is not here, only shapes
    precision  of the run: what float64 inputs, and targets, are rounded to
    Raises DataError where rounding would make most of the distinct values one.
    """
    exact = fitted.dtype == "float64"
    offset = fitted.shift if exact else np.zeros_like(fitted.shift)
    ready = {name: _standardised(part, fitted, precision) for name, part in parts.items()}
    numbers = {} if fitted.classes else {name: part.y for name, part in parts.items()}
    targets = {name: y.astype(np.float64) for name, y in numbers.items() if not isinstance(y, Absent)}
    if "train" in targets and not fitted.label_classes:
        check_distinct(targets["train"], ready["train"].y, "targets")
    train, val, test = (ready[name] for name in PARTS)
    return Dataset(
        train,
        val,
        test,
        shift=(fitted.shift - offset).astype(np.float32),
        scale=fitted.scale.astype(np.float32),
        offset=offset,
        targets=targets,
        classes=fitted.classes,
        fitted=fitted,
    )


def _standardised(part: Examples, fitted: Preprocessing, precision: np.dtype) -> Examples:
    x, y = _around(part.x, fitted, precision), _targets(part.y, fitted, precision)
    return part if x is part.x and y is part.y else Examples(x, y)


def _around(x: np.ndarray | Rows, fitted: Preprocessing, precision: np.dtype) -> np.ndarray | Rows:
    """Inputs that the data hold as float64, around their mean, in the precision of the run; others as they are."""
    if fitted.dtype != "float64":
        return x
    if isinstance(x, Absent):
        return x.retyped(precision)
    if isinstance(x, np.ndarray):
        near = rounded(x, fitted.shift, precision)
        check_distinct(x, near, "input")
        return near
    if not isinstance(x, StoredRows) or not x.in_memory:
        raise DataError("data: inputs of type float64 cannot be streamed from a file; save them as float32")
    return StoredRows(rounded(x, fitted.shift, precision))


def _targets(y: np.ndarray, fitted: Preprocessing, precision: np.dtype) -> np.ndarray:
    """Labels as they are, numbers in units of their deviation around their mean."""
    if fitted.classes:
        return y
    if isinstance(y, Absent):
        return cast("np.ndarray", y.retyped(precision))
    return fitted.from_units(y).astype(precision)


def new_inputs(x: np.ndarray, fitted: Preprocessing, precision: np.dtype, before: int = 0) -> np.ndarray:
    """Inputs that were not among the data, (n, *shape) in their type, as programs take them.

    before   how many inputs came before these, for messages
    Raises DataError for a number that is too large for the type that they are rounded to.
    """
    if fitted.dtype == "uint8":
        return x
    exact = fitted.dtype == "float64"
    offset = fitted.shift if exact else np.zeros_like(fitted.shift)
    kind = precision if exact else np.dtype(fitted.dtype)
    with np.errstate(over="ignore"):
        ready = rounded(x, offset, kind)
    if not np.isfinite(ready).all():
        bad = tuple(map(int, np.argwhere(~np.isfinite(ready))[0]))
        index = (bad[0] + before, *bad[1:])
        raise DataError(
            f"the inputs: the number at index {index} is {figure(x[bad])}, too large for {kind}; correct it or leave "
            "it out"
        )
    return ready
