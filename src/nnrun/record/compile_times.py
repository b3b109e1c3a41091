"""How long the program of a run took to compile last time, for whoever waits for it again.

A file for each kind of program in the user's cache folder, of the newest of them.  Runs whose specs differ in decimal
numbers and seeds only count as one kind, since these are no part of a program; it is a hint, and nothing depends on it.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from nnrun import machine
from nnrun.errors import MachineError
from nnrun.record.names import RESOLVED
from nnrun.storage import fsio

__all__ = ["last_seconds", "timed"]

Programs = TypeVar("Programs")
_WORTH_SAYING = 2.0  # seconds
_MOST = 500  # files, of some 5 bytes: each edit of a spec may make another kind
_DECIMAL = re.compile(r"-?\d+(\.\d+)?(e[-+]?\d+)|-?\d+\.\d+")
_SEED = re.compile(r"^\s+seed:.*\n", re.MULTILINE)


def last_seconds(folder: Path) -> float | None:
    """What compiling took for the last run of the kind of that in `folder`; None: not known, or next to nothing."""
    try:
        return float(_file(folder).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def timed(folder: Path, compile_programs: Callable[[], Programs]) -> Callable[[], Programs]:
    """The same function, which also remembers how long it took for the run in `folder`."""

    def measured() -> Programs:
        began = time.monotonic()
        programs = compile_programs()
        with contextlib.suppress(OSError, MachineError):  # a cache that cannot be written
            _note(_file(folder), time.monotonic() - began)
        return programs

    return measured


def _note(file: Path, seconds: float) -> None:
    if seconds >= _WORTH_SAYING:
        file.parent.mkdir(parents=True, exist_ok=True)
        fsio.write_file(file, f"{seconds:.1f}\n".encode())
        _remove_oldest(file.parent)
    elif file.is_file():
        fsio.remove_file(file)


def _remove_oldest(folder: Path) -> None:
    """Leaves the newest files; another process may be doing the same."""
    ages: list[tuple[float, Path]] = []
    for file in folder.iterdir():
        with contextlib.suppress(FileNotFoundError):
            ages.append((file.stat().st_mtime, file))
    for _, file in sorted(ages)[:-_MOST]:
        with contextlib.suppress(OSError, MachineError):
            fsio.remove_file(file)


def _file(folder: Path) -> Path:
    text = (folder / RESOLVED).read_text(encoding="utf-8")
    kind = _DECIMAL.sub("#", _SEED.sub("", text))
    return machine.user_cache() / "nnrun" / "compile-seconds" / hashlib.sha256(kind.encode()).hexdigest()[:32]
