"""What stands for an array that is not in memory."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

__all__ = ["Rows"]


class Rows(Protocol):
    """An array (n, *shape) that is read when it is indexed: rows[:] would read all of it."""

    shape: tuple[int, ...]
    dtype: np.dtype
    ndim: int
    nbytes: int

    def __len__(self) -> int: ...
    def __getitem__(self, index: Any, /) -> Any: ...  # a slice or positions -> (m, *shape) np.ndarray
