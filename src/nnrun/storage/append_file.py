"""A file of lines that grows, such as the metrics of a run."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from nnrun.errors import MachineError, RunError, one_line
from nnrun.storage import disk, fsio
from nnrun.storage.disk import blame

__all__ = ["AppendFile"]


class AppendFile:
    """A file of lines that grows at its end.  Every method raises MachineError.

    `offset` is its length in bytes.  After a failed call the file is closed for good: what the disk holds is
    unknown until the file is opened again.
    """

    def __init__(self, path: Path, keep: int | None = None) -> None:
        """Opens or creates `path` and cuts it to its first `keep` bytes; None: to its whole lines.

        Raises RunError if it has fewer than `keep` bytes: lines that a checkpoint counts on are lost.
        """
        self.path = path
        self._descriptor = -1
        with self._guard():
            size = path.stat().st_size if path.exists() else 0
            if keep is not None and size < keep:
                raise RunError(f"{one_line(path)}: has {size} bytes, its checkpoint needs {keep}; restore it")
            # A torn last line would swallow the first line written after it.
            self.offset = keep if keep is not None else disk.whole_lines(path) if size else 0
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
            self._descriptor = disk.system.open(path, flags, 0o666)
            if size > self.offset:
                disk.system.ftruncate(self._descriptor, self.offset)
            fsio.sync_names(path.parent)

    def write(self, data: bytes) -> None:
        """Appends `data`, in one system call unless the system takes less."""
        with self._guard():
            self._check_open()
            disk.write_all(self._descriptor, data)
        self.offset += len(data)

    def sync(self) -> None:
        """Returns when all that was written is on the disk."""
        with self._guard():
            self._check_open()
            disk.system.fsync(self._descriptor)

    def close(self) -> None:
        """Closes the file without syncing it; a second call does nothing."""
        if self._descriptor >= 0:
            descriptor, self._descriptor = self._descriptor, -1
            with blame(self.path):
                disk.system.close(descriptor)

    def _check_open(self) -> None:
        if self._descriptor < 0:
            raise MachineError(f"{one_line(self.path)}: closed, perhaps by an earlier error; open it again")

    @contextlib.contextmanager
    def _guard(self) -> Iterator[None]:
        try:
            with blame(self.path):
                yield
        except MachineError:
            with contextlib.suppress(MachineError):
                self.close()
            raise
