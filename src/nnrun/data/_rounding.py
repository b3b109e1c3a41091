"""From float64, as files hold numbers, to the precision of a run: the offset is subtracted before anything is rounded.

float32 has 24 bits: of 1700000000 and the 400 numbers after it, it knows four.  Around their mean it knows all.
"""

from __future__ import annotations

import numpy as np

from nnrun.amounts import figure
from nnrun.errors import DataError
from nnrun.rows import Rows

__all__ = ["check_digits", "check_distinct", "rounded"]

_CHUNK = 1 << 20  # values at a time: 8 MiB
_LOST = 0.5  # the share of distinct values that may become one before it is refused


def rounded(x: np.ndarray | Rows, offset: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """(x − offset) rounded to `dtype`; subtracted in float64.

    x       (n, *shape) floats, read some rows at a time
    offset  () or (*shape) float64
    """
    result = np.empty(x.shape, dtype)
    rows = max(1, _CHUNK // max(1, int(np.prod(x.shape[1:]))))
    for start in range(0, len(x), rows):
        result[start : start + rows] = x[start : start + rows].astype(np.float64) - offset
    return result


def check_distinct(x: np.ndarray, kept: np.ndarray, name: str) -> None:
    """Refuses numbers of which most of the distinct values become one when they are rounded.

    x     (n,) or (n, inputs) float64
    kept  the same, rounded
    name  of the numbers, in the message
    Raises DataError.
    """
    if not len(x):
        return
    columns = zip(x.reshape(len(x), -1).T, kept.reshape(len(x), -1).T, strict=True)
    for index, (column, short) in enumerate(columns):
        before, after = len(np.unique(column)), len(np.unique(short))
        if before > 2 and after < _LOST * before:
            which = f" {index}" if x.ndim > 1 else ""
            raise DataError(
                f"data: {name}{which}: its {before} different values are {after} in {short.dtype}, for they lie "
                f"between {figure(column.min(), 6)} and {figure(column.max(), 6)}; write train.precision: float64, "
                "or remove what lies far out"
            )


def check_digits(before: int, after: int, place: str) -> None:
    """Refuses numbers of which most of the distinct values become one in float64, in which nnrun reads them.

    before, after  how many distinct values there are as written and as read
    place          begins the message
    Raises DataError.
    """
    if before > 2 and after < _LOST * before:
        raise DataError(
            f"{place}: its {before} different values are {after} in float64, which keeps 15 digits; subtract what they "
            "have in common before you save them"
        )
