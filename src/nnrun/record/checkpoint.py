"""Checkpoints: folders `step_00000123` of arrays and a manifest that notices any changed bit.

A folder is written under another name and renamed when complete, so what is named `step_N` was once whole.
The manifest holds the SHA-256 of the arrays' file and of itself; loading compares both before it parses.
The order of checkpoints is the order of their steps, never of clocks.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import DTypeLike

from nnrun.errors import RunError, one_line
from nnrun.record.pack import ARRAYS, MANIFEST, Checkpoint, OtherFormat, Progress, dtype, pack, unpack, unseal
from nnrun.storage import fsio

__all__ = [
    "Checkpoint",
    "Progress",
    "arrays_file",
    "check_structure",
    "holds",
    "load",
    "load_latest",
    "looks_whole",
    "prune",
    "recorded_digests",
    "save",
    "sha256_of",
    "step_folder",
    "steps",
]

Forms = Mapping[str, tuple[tuple[int, ...], DTypeLike]]  # path -> shape, dtype

_NAME = re.compile(r"step_([0-9]{8,})")


def step_folder(folder: Path, step: int) -> Path:
    """Where, among the checkpoints of a run, that of a step lies."""
    return folder / f"step_{step:08d}"


def arrays_file(folder: Path, step: int) -> Path:
    """Where the arrays of a checkpoint of a run lie; its SHA-256 is what a checkpoint is known by."""
    return step_folder(folder / "checkpoints", step) / ARRAYS


def sha256_of(file: Path) -> str:
    """The SHA-256 of a file's content.  Raises RunError, MachineError."""
    return hashlib.sha256(fsio.read_file(file)).hexdigest()


def recorded_digests(folder: Path) -> set[str]:
    """The SHA-256 of the arrays of each checkpoint of a run, as the manifests have it; without damaged ones."""
    digests: set[str] = set()
    for step in steps(folder / "checkpoints"):
        manifest = step_folder(folder / "checkpoints", step) / MANIFEST
        with contextlib.suppress(RunError, KeyError, TypeError):
            digests.add(str(unseal(fsio.read_file(manifest), manifest)["files"][ARRAYS]["sha256"]))
    return digests


def save(
    folder: Path,
    step: int,
    arrays: Mapping[str, np.ndarray],
    progress: Progress,
    metrics_offset: int,
) -> Path:
    """Writes a checkpoint and returns its folder; when this returns, it survives a crash.

    folder          where the checkpoints of the run are; it must exist
    step            steps done, ≥ 0
    arrays          path -> array
    progress        what else a resumed run needs, as JSON; no clock times: equal states are equal files
    metrics_offset  bytes of metrics.jsonl that belong to this state; they must have been synced

    A good checkpoint of the same content is left alone; any other of this step is replaced.
    Raises DivergedError if an array holds NaN or infinity, MachineError, and ValueError or TypeError if
    `arrays` or `progress` cannot be stored.
    """
    files = pack(step, arrays, progress, metrics_offset)
    path = step_folder(folder, step)
    if path.exists():
        if holds(path, files):
            fsio.sync_folder(folder)  # the process that wrote it may have died before it did this
            return path
        fsio.remove_folder(path)
    fsio.write_folder(path, files)
    return path


def load(path: Path) -> Checkpoint:
    """Reads the checkpoint in the folder `path`.

    Raises RunError naming the file and what differs if anything is damaged or missing or the format is
    newer than this program's; MachineError.
    """
    files = {name: fsio.read_file(path / name) for name in (MANIFEST, ARRAYS)}
    content = unpack(files, path)
    name = _NAME.fullmatch(path.name)
    if name and int(name[1]) != content.step:
        raise RunError(f"{one_line(path)}: holds step {content.step}; this folder was renamed, name it back")
    return content


def steps(folder: Path) -> list[int]:
    """The steps that have a checkpoint, good or not, in rising order; [] if there is no such folder."""
    if not folder.is_dir():
        return []
    names = (_NAME.fullmatch(child.name) for child in folder.iterdir())
    return sorted(int(name[1]) for name in names if name)


def load_latest(folder: Path, warn: Callable[[str], None]) -> Checkpoint | None:
    """The newest good checkpoint, None if there are no checkpoints.

    Each damaged one on the way is reported to `warn` in one line.
    Raises RunError if all are damaged, or the newest undamaged one has a newer format; MachineError.
    """
    known = steps(folder)
    for step in reversed(known):
        try:
            return load(step_folder(folder, step))
        except OtherFormat:
            raise  # it is not damaged: an older one in its place would throw away work
        except RunError as error:
            warn(f"{error}; skipped this checkpoint")
    if known:
        raise RunError(
            f"{one_line(folder)}: none of {len(known)} checkpoints is good; restore one or start a new run"
        )
    return None


def prune(folder: Path, keep: int, protect: Collection[int] = ()) -> None:
    """Removes old checkpoints and leftovers of crashes; keeps the newest `keep`, at least 2, and `protect`.

    A checkpoint that is visibly damaged does not count as kept, and is removed only if it is older than
    those that are.  Raises MachineError.
    """
    whole = [step for step in steps(folder) if looks_whole(step_folder(folder, step))]
    kept = whole[-max(keep, 2) :]
    for step in steps(folder):
        if kept and step < kept[0] and step not in protect:
            fsio.remove_folder(step_folder(folder, step))
    for child in folder.iterdir():
        if child.name.startswith(fsio.TEMPORARY) and child.is_dir():
            fsio.remove_folder(child)


def check_structure(arrays: Mapping[str, np.ndarray], expected: Forms, place: str) -> None:
    """Checks that a checkpoint's arrays are those of a model: path -> (shape, dtype).

    Raises RunError naming `place`, the first leaf that differs and both forms of it.
    """
    needed = {path: _form(shape, kind) for path, (shape, kind) in expected.items()}
    actual = {path: _form(array.shape, array.dtype) for path, array in arrays.items()}
    for path in (*needed, *actual):
        has, needs = actual.get(path, "absent"), needed.get(path, "absent")
        if has != needs:
            raise RunError(
                f"{place}: {one_line(path)} is {has} in the checkpoint and {needs} in the model; "
                "use the spec that the run was trained with"
            )


def _form(shape: tuple[int, ...], kind: DTypeLike) -> str:
    return f"{dtype(kind).name} {list(shape)}"


def holds(path: Path, files: Mapping[str, bytes]) -> bool:
    """Whether the checkpoint in a folder has exactly these files."""
    try:
        return all(fsio.read_file(path / name) == content for name, content in files.items())
    except RunError:
        return False


def looks_whole(path: Path) -> bool:
    """Whether manifest and sizes agree: found out without reading the arrays."""
    try:
        manifest = unseal(fsio.read_file(path / MANIFEST), path / MANIFEST)
        return (path / ARRAYS).stat().st_size == manifest["files"][ARRAYS]["size"]
    except OtherFormat:
        return True
    except (RunError, OSError, KeyError, TypeError):
        return False
