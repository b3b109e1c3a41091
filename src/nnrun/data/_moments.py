"""Mean and deviation of arrays too large for a copy in float64."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["moments"]

_CHUNK = 1 << 20  # values turned into float64 at a time: 8 MiB


def moments(x: np.ndarray, kind: str) -> tuple[np.ndarray, np.ndarray]:
    """What to subtract from `x` (n, *shape) and what to divide by then, both float32, the second > 0.

    kind  "feature": mean and deviation of each input over the examples, both (*shape);
          "image": of all values together, both ();   "none": 0 and 1, both ()

    Both are computed in float64.  What does not vary is divided by 1.
    """
    if kind == "none":
        return np.zeros((), np.float32), np.ones((), np.float32)
    if kind == "image":
        mean, deviation = _byte_moments(x) if x.dtype == np.uint8 else _moments(x.reshape(-1))
    else:
        mean, deviation = _moments(x)
    scale = deviation.astype(np.float32)
    return mean.astype(np.float32), np.where(scale > 0, scale, np.float32(1))


def _byte_moments(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and deviation of all bytes, from how often each value occurs."""
    counts = np.zeros(256, np.int64)
    flat = x.reshape(-1)
    for start in range(0, flat.size, _CHUNK):  # bincount copies its argument to int64
        counts += np.bincount(flat[start : start + _CHUNK], minlength=256)
    values = np.arange(256.0)
    mean = counts @ values / flat.size
    return np.asarray(mean), np.sqrt(counts @ (values - mean) ** 2 / flat.size)


def _moments(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and deviation over the first axis; exactly 0 deviation where all are equal.

    In two passes, and around the first row, so that a large common offset costs no digits.
    """
    first = x[0].astype(np.float64)
    mean = sum(((part - first).sum(axis=0) for part in _parts(x)), np.zeros(x.shape[1:])) / len(x)
    centre = first + mean
    square = sum((((part - first - mean) ** 2).sum(axis=0) for part in _parts(x)), np.zeros(x.shape[1:]))
    return np.asarray(centre), np.sqrt(np.asarray(square) / len(x))


def _parts(x: np.ndarray) -> Iterator[np.ndarray]:
    """`x` in float64, some rows at a time."""
    rows = max(1, _CHUNK // max(1, x[0].size))
    for start in range(0, len(x), rows):
        yield x[start : start + rows].astype(np.float64)
