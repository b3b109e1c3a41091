"""Data that a run was trained on and that are not here: their shapes, so that its model can be built."""

from __future__ import annotations

from typing import NoReturn, cast

import numpy as np

from nnrun.errors import RunError
from nnrun.preprocessing import Preprocessing
from nnrun.types import Examples

__all__ = ["Absent", "absent"]


class Absent:
    """Stands for an array (n, *shape) whose content is not there; asking for it is an error, never zeros."""

    nbytes = 0  # of memory

    def __init__(self, shape: tuple[int, ...], dtype: np.dtype, reason: str) -> None:
        self.shape, self.dtype, self.ndim, self.reason = shape, dtype, len(shape), reason

    def retyped(self, dtype: np.dtype) -> Absent:
        """The same, of another type."""
        return Absent(self.shape, dtype, self.reason)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: object) -> NoReturn:
        raise RunError(self.reason)

    def __array__(self, dtype: object = None, copy: object = None) -> NoReturn:
        raise RunError(self.reason)


def absent(fitted: Preprocessing, name: str, reason: str) -> Examples:
    """A part of the data as the record describes it, without its content."""
    count = fitted.parts[name].examples
    kind = np.dtype(np.int32 if fitted.classes else np.float64)
    y = Absent((count, *([len(fitted.targets)] if fitted.targets else [])), kind, reason)
    return Examples(Absent((count, *fitted.shape), np.dtype(fitted.dtype), reason), cast("np.ndarray", y))
