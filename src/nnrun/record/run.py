"""Run folders: their names, who claims one, what state it is in, and how a user's text finds it.

A run folder is one that has a `state.json`.  A group (a sweep, several seeds) is a run folder that holds
run folders.
"""

from __future__ import annotations

import contextlib
import difflib
import json
import os
import re
import shlex
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, NotRequired, Unpack

from typing_extensions import TypedDict

from nnrun.errors import RunError, SpecError, one_line
from nnrun.record.names import SWEEP
from nnrun.storage import fsio
from nnrun.storage.lock import is_locked, lock

__all__ = [
    "STATUSES",
    "RunState",
    "StateFields",
    "check_free",
    "check_id",
    "claim",
    "claim_at",
    "find",
    "is_run",
    "lock",
    "members",
    "natural",
    "read_json",
    "read_state",
    "resolve",
    "status",
    "write_state",
]

STATUSES = ("created", "running", "done", "interrupted", "diverged", "failed")
STATE = "state.json"

_ID = re.compile(r"(?!\.)[A-Za-z0-9._-]{1,64}")
_NAME_LENGTH = 44  # leaves room for -YYYYMMDD-HHMMSS and a number in an id of 64
_TIME = re.compile(r"-[0-9]{8}-[0-9]{6}(-[0-9]+)?")
_DEPTH = 3  # how far below a folder runs are looked for
_NOT_GROUPS = ("checkpoints", "plots")


class StateFields(TypedDict):
    """What state.json says beside the status."""

    step: NotRequired[int]  # steps done
    reason: NotRequired[str]  # why the run ended where it did


class RunState(StateFields):
    """The content of state.json."""

    status: str  # one of STATUSES


def check_id(text: str, place: str) -> str:
    """Returns `text` if it can name a run; raises SpecError naming `place` if not."""
    if not _ID.fullmatch(text):
        raise SpecError(
            f"{place}: {one_line(text, 80)!r} cannot name a run; write 1 to 64 of A-Z a-z 0-9 . _ - "
            "and no leading dot"
        )
    return text


def claim(root: Path, name: str, now: datetime) -> Path:
    """Creates the folder `root/<name>-<YYYYMMDD-HHMMSS>[-n]`; no two processes get the same.

    `root` is created if missing; a long name is cut.  Raises SpecError for a bad name, MachineError.
    """
    stem = f"{check_id(name, 'name')[:_NAME_LENGTH]}-{now:%Y%m%d-%H%M%S}"
    fsio.make_folders(root)
    number = 1
    while True:
        path = root / (stem if number == 1 else f"{stem}-{number}")
        try:
            fsio.make_folder(path)
        except FileExistsError:
            number += 1
        else:
            return path


def claim_at(path: Path) -> Path:
    """Creates exactly this folder, or takes it if it is empty.

    Raises RunError if something is there, MachineError.
    """
    fsio.make_folders(path.parent)
    try:
        fsio.make_folder(path)
    except FileExistsError:
        if not path.is_dir() or any(path.iterdir()):
            raise RunError(
                f"{one_line(path)}: already exists; {_continued(path)}choose another folder"
            ) from None
    return path


def _continued(path: Path) -> str:
    """How what is in a folder continues; "" where it is no run, or a run that is done."""
    place = shlex.quote(one_line(path))
    if (path / SWEEP).is_file():
        return f"it holds a sweep: `nnrun sweep --resume {place}` continues it; or "
    with contextlib.suppress(RunError):
        if is_run(path) and read_state(path)["status"] != "done":
            return f"it holds a run: `nnrun resume {place}` continues it; or "
    return ""


def write_state(path: Path, status: str, **fields: Unpack[StateFields]) -> None:
    """Replaces the state of the run in `path`: one of STATUSES and what else is worth knowing, as JSON.

    Raises ValueError for another status, MachineError.
    """
    if status not in STATUSES:
        raise ValueError(f"{status!r} is not a status; it must be one of {', '.join(STATUSES)}")
    fsio.write_json(path / STATE, {**fields, "status": status})


def read_state(path: Path) -> RunState:
    """What `write_state` wrote last, "status" included.  Raises RunError if missing or damaged."""
    state: RunState = read_json(path / STATE)
    if state.get("status") in STATUSES:
        return state
    raise _damaged(path / STATE)


def read_json(file: Path) -> Any:
    """A JSON object that nnrun wrote; the reader says of which type.  Raises RunError if missing or damaged."""
    with contextlib.suppress(ValueError, RecursionError):
        content = json.loads(fsio.read_file(file))
        if isinstance(content, dict):
            return content
    raise _damaged(file)


def _damaged(file: Path) -> RunError:
    return RunError(f"{one_line(file)}: damaged; restore it or start a new run")


def status(path: Path) -> str:
    """One of STATUSES, or "crashed": the state says "running" and no process has the run.

    Raises RunError if there is no state or it is damaged.
    """
    written = read_state(path)["status"]
    if written != "running" or is_locked(path):
        return written
    # The run may have ended between the two looks; its last state was written before it let go.
    written = read_state(path)["status"]
    return "crashed" if written == "running" else written


def check_free(path: Path) -> None:
    """Raises RunError if another process holds the run, MachineError; a free run is not touched."""
    if is_locked(path):
        with lock(path):  # whose message names the owner
            pass


def is_run(path: Path) -> bool:
    """Whether `path` is the folder of a run or of a group of runs."""
    try:
        return (path / STATE).is_file()
    except OSError:  # unreadable folder, name too long
        return False


def find(root: Path) -> list[Path]:
    """The runs and groups below `root`, not those inside them, sorted by path with numbers as numbers."""
    return sorted(_below(root, _DEPTH), key=lambda path: natural(path.relative_to(root).as_posix()))


def members(path: Path) -> list[Path]:
    """The runs inside a group, in order of seed or trial; [] for a single run."""
    return find(path)


def resolve(text: str, root: Path = Path("runs")) -> Path:
    """The run that a user means: its folder, its path below `root`, or an unambiguous beginning of that.

    Raises RunError with the nearest names.
    """
    if not text:
        raise RunError("the name of a run is empty; `nnrun ls` shows what there is")
    named = [path for path in (Path(text), root / text) if is_run(path)]
    if named:
        return named[0]
    runs = {path.relative_to(root).as_posix(): path for path in find(root)}
    matches = [name for name in runs if name.startswith(text)]
    if len(matches) == 1:
        return runs[matches[0]]
    shown = one_line(text, 80)
    if matches:
        raise RunError(f"{shown}: {len(matches)} runs begin so ({_some(matches)}); write more of the name")
    if Path(text).suffix in (".yaml", ".yml"):
        raise RunError(f"{shown}: a spec, not a run; `nnrun train {shlex.quote(shown)}` makes a run of it")
    if _is_folder(Path(text)):
        raise RunError(f"{shown}: not a run folder (it has no {STATE}); name a folder that nnrun train made")
    # The time in a name is no part of what a user misspells.
    stems = {_TIME.sub("", name): name for name in runs}
    close = difflib.get_close_matches(text, [*runs, *stems], n=3, cutoff=0.5)
    near = list(dict.fromkeys(stems.get(name, name) for name in close))
    quoted = [f"'{name}'" for name in near]
    hint = f"did you mean {_some(quoted)}?" if near else "nnrun ls shows what there is"
    raise RunError(f"{shown}: no such run here or in {one_line(root)}; {hint}")


def _below(folder: Path, depth: int) -> Iterator[Path]:
    if depth == 0 or not _is_folder(folder) or not os.access(folder, os.R_OK | os.X_OK):
        return
    for child in folder.iterdir():
        if child.name.startswith(".") or child.name in _NOT_GROUPS:
            continue
        if is_run(child):
            yield child
        elif not child.is_symlink():  # a link may lead back up
            yield from _below(child, depth - 1)


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:
        return False


def natural(text: str) -> list[tuple[int, str]]:
    """What names are sorted by so that seed_2 is before seed_10."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"([0-9]+)", text)]


def _some(names: list[str], most: int = 4) -> str:
    rest = ", ..." if len(names) > most else ""
    return ", ".join(one_line(name, 80) for name in names[:most]) + rest
