"""Every write that nnrun does, so that what a function has returned from survives a crash of the machine.

The order is always: write under a temporary name in the same folder, fsync it, rename it, fsync the folder.
A reader therefore sees the old content or the new, whole.  A failed fsync is never tried again: the kernel
may have dropped the data and would report success.

Names that begin with `.tmp_` or `.trash_` are leftovers of a crash and may be removed.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from pathlib import Path

from nnrun.errors import MachineError, RunError, one_line
from nnrun.storage import disk
from nnrun.storage.disk import blame

__all__ = [
    "TEMPORARY",
    "make_folder",
    "make_folders",
    "one_commit",
    "read_file",
    "remove_file",
    "remove_folder",
    "rename_folder",
    "sync_folder",
    "sync_names",
    "write_file",
    "write_folder",
    "write_json",
    "writing",
]

TEMPORARY = (".tmp_", ".trash_")

_committing: ContextVar[frozenset[Path]] = ContextVar("committing", default=frozenset())  # folders


def read_file(path: Path) -> bytes:
    """The content of a file.

    Raises RunError if it is missing or damaged, so that the disk cannot read it back; else MachineError.
    """
    with blame(path):
        try:
            return path.read_bytes()
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            raise RunError(f"{one_line(path)}: this file is missing; restore it from a copy") from None
        except OSError as error:
            if error.errno == errno.EIO:
                raise RunError(f"{one_line(path)}: the disk cannot read this file; restore it") from error
            raise


def write_file(path: Path, data: bytes) -> None:
    """Creates or replaces a file: after a crash it holds the old bytes or these, whole.  Raises MachineError."""
    with writing(path) as put:
        put(data)


@contextlib.contextmanager
def writing(path: Path) -> Iterator[Callable[[bytes], None]]:
    """A function that appends to a new file, which takes its place whole, or not at all.  Raises MachineError."""
    # The process id keeps two writers of one file apart: the last to rename wins, and both are whole.
    temporary = path.with_name(f".tmp_{path.name}.{os.getpid()}")

    def put(data: bytes) -> None:
        with blame(path):
            disk.write_all(descriptor, data)

    try:
        with blame(path):
            descriptor = disk.open_new(temporary)
        try:
            yield put
            with blame(path):
                disk.system.fsync(descriptor)
        except BaseException:
            with contextlib.suppress(OSError):
                disk.system.close(descriptor)
            raise
        with blame(path):
            disk.system.close(descriptor)
            disk.system.rename(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            disk.system.unlink(temporary)
        raise
    sync_names(path.parent)


@contextlib.contextmanager
def one_commit(folder: Path) -> Iterator[None]:
    """A context in which new files of `folder` share one fsync of it, at its end.  Raises MachineError.

    After a crash inside it each of them is there whole or not at all; when it has ended, all of them are.
    """
    if folder in _committing.get():
        yield
        return
    token = _committing.set(_committing.get() | {folder})
    try:
        yield
    finally:
        _committing.reset(token)
    sync_names(folder)


def write_json(path: Path, content: Mapping[str, object]) -> None:
    """Creates or replaces a JSON file; keys are sorted, so equal content gives equal bytes.

    Raises ValueError for NaN and infinity, which JSON does not have, and MachineError.
    """
    text = json.dumps(content, indent=2, sort_keys=True, allow_nan=False)
    write_file(path, f"{text}\n".encode())


def write_folder(path: Path, files: Mapping[str, bytes]) -> None:
    """Creates the folder `path` with these files (name -> content): all of it appears at once, or nothing.

    `path` must not exist; its parent must.  Raises MachineError.
    """
    temporary = path.with_name(f".tmp_{path.name}")
    with blame(path):
        if temporary.exists():
            disk.delete(temporary)
        try:
            disk.system.mkdir(temporary)
            for name, data in files.items():
                disk.write_new(temporary / name, data)
            disk.sync_folder(temporary)
            disk.system.rename(temporary, path)
        except BaseException:
            with contextlib.suppress(OSError):
                disk.delete(temporary)  # on a full disk the space is wanted back
            raise
        disk.sync_folder(path.parent)


def make_folder(path: Path) -> None:
    """Creates one folder; of several processes that try, one succeeds.

    Raises FileExistsError if `path` exists, so that a name can be claimed; else MachineError.
    """
    try:
        with blame(path):
            disk.system.mkdir(path)
            disk.sync_folder(path.parent)
    except MachineError as error:
        if isinstance(error.__cause__, FileExistsError):
            raise error.__cause__ from None
        raise


def make_folders(path: Path) -> None:
    """Creates a folder and the missing ones above it; one that exists is fine.  Raises MachineError."""
    with blame(path):
        missing = [folder for folder in (path, *path.parents) if not folder.is_dir()]
        for folder in reversed(missing):
            try:
                make_folder(folder)
            except FileExistsError:
                if not folder.is_dir():
                    raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR)) from None


def rename_folder(old: Path, new: Path) -> None:
    """Renames a folder; `new` is in the same parent folder and does not exist.  Raises MachineError."""
    with blame(old):
        disk.system.rename(old, new)
        disk.sync_folder(new.parent)


def remove_folder(path: Path) -> None:
    """Removes a folder and all below it; a crash in the middle never leaves half of it under its name.

    Raises MachineError.
    """
    with blame(path):
        if not path.name.startswith(TEMPORARY):
            trash = path.with_name(f".trash_{path.name}")
            if trash.exists():
                disk.delete(trash)
            disk.system.rename(path, trash)
            # The new name must be on the disk before the first file goes.
            disk.sync_folder(path.parent)
            path = trash
        disk.delete(path)


def remove_file(path: Path) -> None:
    """Removes a file; one that is gone already is fine.  Raises MachineError."""
    with blame(path):
        with contextlib.suppress(FileNotFoundError):
            disk.system.unlink(path)
        disk.sync_folder(path.parent)


def sync_folder(path: Path) -> None:
    """Brings the names in a folder to the disk.  Raises MachineError."""
    with blame(path):
        disk.sync_folder(path)


def sync_names(folder: Path) -> None:
    """Brings the names in a folder to the disk, unless a commit does it."""
    if folder not in _committing.get():
        sync_folder(folder)
