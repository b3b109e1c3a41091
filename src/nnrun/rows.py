"""What stands for an array that is not in memory."""

from __future__ import annotations

from typing import Protocol

import numpy as np

__all__ = ["Rows"]


class Rows(Protocol):
    """An array (n, *shape) that is read when it is indexed: rows[:] would read all of it."""

    shape: tuple[int, ...]
    dtype: np.dtype
    ndim: int
    nbytes: int

    def __len__(self) -> int: ...
    def __getitem__(self, index: slice | np.ndarray, /) -> np.ndarray: ...  # -> (m, *shape)
