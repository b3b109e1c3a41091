"""Mean and deviation of arrays too large for a copy in float64, or for memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nnrun.rows import Rows

__all__ = ["moments"]

_CHUNK = 1 << 20  # values turned into float64 at a time: 8 MiB


def moments(x: np.ndarray | Rows, kind: str) -> tuple[np.ndarray, np.ndarray]:
    """What to subtract from `x` (n, *shape) and what to divide by then, both float64, the second ≥ 0.

    kind  "feature": mean and deviation of each input over the examples, both (*shape);
          "image": of all values together, both ();   "none": 0 and 1, both ()

    The deviation of what does not vary is exactly 0.
    """
    if kind == "none":
        return np.zeros(()), np.ones(())
    if kind == "image":
        mean, deviation = _byte_moments(x) if x.dtype == np.uint8 else _moments(x, None)
    else:
        mean, deviation = _moments(x, 0)
    return mean, deviation


def _byte_moments(x: np.ndarray | Rows) -> tuple[np.ndarray, np.ndarray]:
    """Mean and deviation of all bytes, from how often each value occurs."""
    counts = np.zeros(256, np.int64)
    for part in _parts(x):  # bincount copies its argument to int64
        counts += np.bincount(part.reshape(-1), minlength=256)
    values, size = np.arange(256.0), counts.sum()
    mean = counts @ values / size
    return np.asarray(mean), np.sqrt(counts @ (values - mean) ** 2 / size)


def _moments(x: np.ndarray | Rows, axis: int | None) -> tuple[np.ndarray, np.ndarray]:
    """Mean and deviation over the first axis or over all; exactly 0 deviation where all are equal.

    In two passes, and around the first value, so that a large common offset costs no digits.
    """
    first = x[:1][0].astype(np.float64)
    first = first if axis == 0 else first.reshape(-1)[0]
    zero, count = np.zeros(np.shape(first)), len(x) if axis == 0 else int(np.prod(x.shape))
    parts = (part.astype(np.float64) - first for part in _parts(x))
    mean = sum((part.sum(axis=axis) for part in parts), zero) / count
    parts = (part.astype(np.float64) - first - mean for part in _parts(x))
    square = sum(((part**2).sum(axis=axis) for part in parts), zero)
    return np.asarray(first + mean), np.sqrt(np.asarray(square) / count)


def _parts(x: np.ndarray | Rows) -> Iterator[np.ndarray]:
    """`x`, some rows at a time."""
    rows = max(1, _CHUNK // max(1, int(np.prod(x.shape[1:]))))
    for start in range(0, len(x), rows):
        yield x[start : start + rows]
