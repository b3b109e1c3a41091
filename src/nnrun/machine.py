"""What this process may use of the machine: its cores, and a folder for what can be made again."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path

__all__ = ["cores", "user_cache"]


def cores() -> list[int]:
    """The numbers of the processor cores that this process may run on, ascending; at least one."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def user_cache() -> Path:
    """The folder for what can be made again: $XDG_CACHE_HOME if that is absolute, else ~/.cache.

    Without a home that can be written, as in a container with a bare user number, it is a folder in the system's
    temporary one, for this user alone.  It may not be writable; whoever writes to it says so.
    """
    named = os.environ.get("XDG_CACHE_HOME")
    if named and Path(named).is_absolute():  # its specification: a relative path is to be ignored
        return Path(named)
    try:
        folder = Path.home() / ".cache"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if os.access(folder, os.W_OK):
            return folder
    except (OSError, RuntimeError):  # RuntimeError: there is no home
        pass
    return _temporary_cache()


def _temporary_cache() -> Path:
    """A folder of this user below the temporary one; another one at each start where somebody else holds its name."""
    folder = Path(tempfile.gettempdir()) / f"nnrun-cache-{os.getuid() if hasattr(os, 'getuid') else 'user'}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        status = folder.lstat()
        if stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid() and not status.st_mode & 0o077:
            return folder
        return Path(tempfile.mkdtemp(prefix="nnrun-cache-"))
    except OSError:
        return folder
