"""Rows of an array that stay where they are, in a file or in memory, until somebody asks for them.

An array mapped from a file is read through the file system and not through the map: where the disk fails or the
file was cut short, touching a map ends the process, while a read reports an error.
"""

from __future__ import annotations

import contextlib
import os
import weakref
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from nnrun.errors import MachineError, one_line

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["StoredRows"]

_GAP = 16 << 10  # bytes between wanted rows that cost less to read along than to begin another read
_PIECE = 1 << 20  # bytes of one read, at most, unless a row is longer


class StoredRows:
    """Some rows of an array (n, *shape): `rows[index]` reads those at an index, a slice or an array of positions.

    array    in memory, or mapped from a file (np.memmap, np.load(..., mmap_mode="r")), C-contiguous there
    numbers  which rows of it, ascending; None: all

    Reading raises MachineError naming the file.
    """

    def __init__(self, array: np.ndarray, numbers: np.ndarray | None = None) -> None:
        origin = _origin(array)
        self._store = _File(array, *origin) if origin else np.asarray(array)
        self._numbers = numbers
        self.dtype = array.dtype
        self.shape = (len(array) if numbers is None else len(numbers), *array.shape[1:])
        self.ndim = array.ndim
        self.nbytes = int(np.prod(self.shape, dtype=np.int64)) * array.dtype.itemsize

    @property
    def in_memory(self) -> bool:
        """Whether the array is in memory, not in a file."""
        return isinstance(self._store, np.ndarray)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: slice | np.ndarray) -> np.ndarray:
        if self._numbers is not None:
            numbers = self._numbers[index]
        elif isinstance(index, slice):
            numbers = np.arange(*index.indices(len(self)))
        else:
            numbers = np.where(index < 0, index + len(self), index)
            if len(numbers) and not 0 <= numbers.min() <= numbers.max() < len(self):
                raise IndexError(f"rows {index.min()} to {index.max()} of {len(self)}")
        if isinstance(self._store, np.ndarray):
            return np.take(self._store, numbers, axis=0)
        if (np.diff(numbers) > 0).all():
            return self._store.read(numbers)
        unique, where = np.unique(numbers, return_inverse=True)
        return self._store.read(unique)[where]


class _File:
    """Rows of bytes in a file, from `offset` on."""

    def __init__(self, array: np.ndarray, path: str, offset: int) -> None:
        self.place, self.offset = one_line(path), offset
        self.shape, self.dtype = array.shape[1:], array.dtype
        self.width = int(np.prod(self.shape, dtype=np.int64)) * self.dtype.itemsize  # bytes of a row
        try:
            self.descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise self._failed(error) from error
        weakref.finalize(self, os.close, self.descriptor)

    def read(self, numbers: np.ndarray) -> np.ndarray:
        """The rows of these numbers, strictly ascending."""
        result = np.empty((len(numbers), *self.shape), self.dtype)
        rows = result.view(np.uint8).reshape(len(numbers), self.width) if result.size else result
        runs = list(self._runs(numbers))
        self._announce(numbers, runs)
        for start, stop in runs:
            first, last = int(numbers[start]), int(numbers[stop - 1])
            if last - first == stop - start - 1:
                self._fill(rows[start:stop], first)
            else:
                between = np.empty((last - first + 1, self.width), np.uint8)
                self._fill(between, first)
                rows[start:stop] = between[numbers[start:stop] - first]
        return result

    def _runs(self, numbers: np.ndarray) -> Iterator[tuple[int, int]]:
        """start, stop: parts of `numbers` that are read at once."""
        if not len(numbers) or not self.width:
            return
        far = np.diff(numbers) > max(1, _GAP // self.width)
        turned = np.diff(numbers // max(1, _PIECE // self.width)) > 0
        edges = [0, *(np.flatnonzero(far | turned) + 1).tolist(), len(numbers)]
        yield from pairwise(edges)

    def _announce(self, numbers: np.ndarray, runs: list[tuple[int, int]]) -> None:
        """Tells the system what will be read: a disk is several times as fast with many requests at once."""
        if len(runs) < 2 or not hasattr(os, "posix_fadvise"):
            return
        for start, stop in runs:
            first, last = int(numbers[start]), int(numbers[stop - 1])
            place, length = self.offset + first * self.width, (last - first + 1) * self.width
            with contextlib.suppress(OSError):  # reading will tell
                os.posix_fadvise(self.descriptor, place, length, os.POSIX_FADV_WILLNEED)

    def _fill(self, rows: np.ndarray, first: int) -> None:
        """Reads successive rows into `rows` (count, width) bytes."""
        buffer, at = rows.data.cast("B"), self.offset + first * self.width
        while buffer:
            try:
                got = os.preadv(self.descriptor, [buffer], at)
            except OSError as error:
                raise self._failed(error) from error
            if not got:
                raise MachineError(
                    f"{self.place}: ends at byte {at}, it was longer before; it was cut short while it was in "
                    "use; make it anew and resume"
                )
            buffer, at = buffer[got:], at + got

    def _failed(self, error: OSError) -> MachineError:
        return MachineError(f"{self.place}: cannot be read: {error.strerror or one_line(error)}")


def _origin(array: np.ndarray) -> tuple[str, int] | None:
    """The file that an array is mapped from and where in it the array begins; None if it is in memory.

    A map that is private to the process (mode "c") may differ from its file.
    """
    root = array
    while isinstance(root.base, np.ndarray):
        root = root.base
    if not isinstance(root, np.memmap) or root.filename is None or root.mode == "c":
        return None
    if not array.flags.c_contiguous:
        return None
    return str(root.filename), int(root.offset) + array.ctypes.data - root.ctypes.data
