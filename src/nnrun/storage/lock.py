"""The lock of a run folder: one process at a time trains there.

It is a `flock` on the file `lock`, which the kernel releases when the process ends in any way.  The file
stays: removing it would let two processes hold locks on two files of the same name.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import platform
import time
from collections.abc import Iterator
from pathlib import Path

from nnrun.errors import RunError, one_line
from nnrun.storage import disk

__all__ = ["LOCK", "is_locked", "lock"]

LOCK = "lock"  # the file in a folder that somebody holds

_PATIENCE = 0.5  # seconds; `is_locked` of another process holds a shared lock for microseconds

_held: set[int] = set()


@contextlib.contextmanager
def lock(path: Path, name: str = LOCK) -> Iterator[None]:
    """Holds the run folder `path` for this process while the body runs.

    name   of the file: another one is another lock
    Raises RunError within a second, naming the process and host that hold it; MachineError.
    """
    file = path / name
    with disk.blame(file):
        # Not inherited by programs that are started (O_CLOEXEC) nor by forked children (see the end).
        descriptor = disk.system.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        _held.add(descriptor)
    try:
        with disk.blame(file):
            if not _acquire(descriptor):
                owner = one_line(
                    file.read_text(encoding="utf-8", errors="replace").strip() or "another process", 100
                )
                raise RunError(f"{one_line(path)}: in use by {owner}; wait until it ends or stop it")
            disk.system.ftruncate(descriptor, 0)
            disk.write_all(descriptor, f"process {os.getpid()} on {platform.node()}\n".encode())
        yield
    finally:
        if descriptor in _held:  # not so in a forked child that leaves the block
            _held.remove(descriptor)
            with contextlib.suppress(OSError):
                disk.system.close(descriptor)


def is_locked(path: Path) -> bool:
    """Whether a process, this one included, holds the run folder `path`.  Raises MachineError.

    Asking takes a shared lock for a moment, because flock has no other way to ask; an owner that starts in
    this moment tries again.  Two that ask at once do not see each other.
    """
    file = path / LOCK
    with disk.blame(file):
        try:
            descriptor = disk.system.open(file, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        with disk.closing(descriptor):
            try:
                disk.system.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
            return False


def _acquire(descriptor: int) -> bool:
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            disk.system.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.01)
        else:
            return True


def _forget_held() -> None:
    for descriptor in _held:
        with contextlib.suppress(OSError):
            os.close(descriptor)
    _held.clear()


# A forked child shares its parent's lock: without this, a worker that outlives the parent keeps the run.
os.register_at_fork(after_in_child=_forget_held)
