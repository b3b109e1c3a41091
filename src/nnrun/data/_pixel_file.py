"""A file of pixels: the bytes of an array and nothing else, described by a manifest beside it."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from nnrun.storage import disk

__all__ = ["Pixels", "digest", "map_pixels", "write_pixels"]

_CHUNK = 1 << 20


class Pixels(NamedTuple):
    """A file of pixels."""

    name: str
    shape: tuple[int, ...]
    sha256: str  # of the shape and the bytes
    dtype: str = "uint8"  # or float32


def write_pixels(
    path: Path, shape: tuple[int, ...], dtype: np.dtype, decoded: Iterator[np.ndarray]
) -> Pixels:
    """Writes and syncs a file of pixels, through the file system: a full disk kills who writes through a map."""
    digest = _begin(shape)
    descriptor = disk.open_new(path)
    with disk.closing(descriptor):
        for batch in decoded:
            digest.update(batch.data)
            disk.write_all(descriptor, batch.tobytes())
        disk.system.fsync(descriptor)
    return Pixels(path.name, shape, digest.hexdigest(), dtype.name)


def map_pixels(folder: Path, file: Pixels) -> np.ndarray:
    """The file as an array.  Raises ValueError unless its size is that of the shape."""
    path = folder / Path(file.name).name
    dtype = np.dtype({"uint8": np.uint8, "float32": np.float32}[file.dtype])
    needed = math.prod(file.shape) * dtype.itemsize
    if path.stat().st_size != needed or min(file.shape) < 1 or len(file.shape) != 4:
        raise ValueError("not of this shape")
    return np.memmap(path, dtype, "r", shape=file.shape)


def digest(array: np.ndarray) -> str:
    """SHA-256 of shape and bytes."""
    hasher = _begin(array.shape)
    flat = array.reshape(-1)
    for start in range(0, flat.size, _CHUNK):
        hasher.update(flat[start : start + _CHUNK].data)
    return hasher.hexdigest()


def _begin(shape: tuple[int, ...]) -> hashlib._Hash:
    return hashlib.sha256(str(tuple(map(int, shape))).encode())
