"""The system calls that change the disk, in one replaceable object, and what every use of them shares.

Only `fsio`, `append_file`, `lock` and the cache of decoded images, which has words of its own for what fails, use
this module.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from nnrun.errors import MachineError, one_line

__all__ = [
    "System", "blame", "closing", "delete", "open_new", "sync_folder", "system", "whole_lines",
    "write_all", "write_new",
]  # fmt: skip

_REMEDIES = {
    errno.ENOSPC: "free space on this disk",
    errno.EDQUOT: "free space in your disk quota",
    errno.EACCES: "check the permissions, or choose another folder",
    errno.EPERM: "check the permissions, or choose another folder",
    errno.EROFS: "choose a folder on a writable disk",
    errno.EIO: "the disk may be failing: check the system log, copy what matters to another disk",
    errno.EMFILE: "raise the limit of open files (ulimit -n)",
    errno.ENFILE: "close programs that hold many files open",
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.ENOENT: "the folder is gone: restore it or choose another",
    errno.ENOTDIR: "a file stands where a folder is needed: choose another folder",
    errno.ENOLCK: "this disk cannot lock files: choose a folder on a local disk",
    errno.ENOTSUP: "this disk cannot do that: choose a folder on a local disk",
}


class System:
    """The calls that change the disk.  Tests put a recording or a failing object in its place."""

    open = staticmethod(os.open)
    write = staticmethod(os.write)
    fsync = staticmethod(os.fsync)
    ftruncate = staticmethod(os.ftruncate)
    close = staticmethod(os.close)
    rename = staticmethod(os.rename)
    mkdir = staticmethod(os.mkdir)
    unlink = staticmethod(os.unlink)
    rmdir = staticmethod(os.rmdir)
    flock = staticmethod(fcntl.flock)


system = System()


@contextlib.contextmanager
def blame(path: Path) -> Iterator[None]:
    """Turns an OSError into a MachineError that names `path`, the cause and the remedy."""
    try:
        yield
    except OSError as error:
        remedy = _REMEDIES.get(error.errno or 0, "check the disk and the folder")
        raise MachineError(f"{one_line(path)}: {error.strerror or error}; {remedy}") from error


@contextlib.contextmanager
def closing(descriptor: int) -> Iterator[None]:
    """Closes `descriptor` at the end; an error of the body goes before an error of the close."""
    try:
        yield
    except BaseException:
        with contextlib.suppress(OSError):
            system.close(descriptor)
        raise
    system.close(descriptor)


def write_all(descriptor: int, data: bytes) -> None:
    """Writes all of `data`, in one call unless the system takes less.  Raises OSError."""
    left = memoryview(data)
    while left:
        left = left[system.write(descriptor, left) :]


def open_new(path: Path) -> int:
    """The descriptor of a file that is created or overwritten.  Raises OSError."""
    return system.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666)


def write_new(path: Path, data: bytes) -> None:
    """Creates or overwrites a file and brings its content, not its name, to the disk.  Raises OSError."""
    descriptor = open_new(path)
    with closing(descriptor):
        write_all(descriptor, data)
        system.fsync(descriptor)


def sync_folder(path: Path) -> None:
    """Brings the names in a folder to the disk.  Raises OSError."""
    descriptor = system.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    with closing(descriptor):
        try:
            system.fsync(descriptor)
        except OSError as error:
            # Some network file systems lack this operation; there is nothing better to call.
            if error.errno not in (errno.EINVAL, errno.ENOTSUP):
                raise


def delete(folder: Path) -> None:
    """Deletes a folder and all below it, without following links.  Raises OSError."""
    for child in sorted(folder.iterdir()):
        if child.is_dir() and not child.is_symlink():
            delete(child)
        else:
            system.unlink(child)
    system.rmdir(folder)


def whole_lines(path: Path, block: int = 1 << 16) -> int:
    """The number of bytes up to the last newline, and with it; it may be far from the end after a crash."""
    with path.open("rb") as file:
        end = file.seek(0, os.SEEK_END)
        while end > 0:
            start = max(0, end - block)
            file.seek(start)
            newline = file.read(end - start).rfind(b"\n")
            if newline >= 0:
                return start + newline + 1
            end = start
    return 0
