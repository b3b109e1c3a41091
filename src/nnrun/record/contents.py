"""What in a run folder is nnrun's, and what somebody else has put there."""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

from nnrun.record import columns, names, pack, preprocessing, run, tags
from nnrun.storage import fsio
from nnrun.storage.lock import LOCK

__all__ = ["foreign_files", "remove_ours"]

_FILES = {  # what nnrun writes into the folder of a run, a group, a sweep or an ensemble
    *names.ALL, columns.COLUMNS, LOCK, preprocessing.PREPROCESSING, run.STATE, tags.TAGS,
}  # fmt: skip
_ARRAYS = (pack.MANIFEST, pack.ARRAYS)
_INSIDE = {  # folder -> the files in it; those of checkpoints lie in folders of their steps
    "plots": ("*.png",),
    "bases": ("*.yaml",),
    "batches": ("*.json",),
    "predictions": ("*.npy",),
    "weights_from": _ARRAYS,
    "step_*": _ARRAYS,
    ".taken_*": _ARRAYS,
}
_OF_RUNS = ("trials", "final", "members", "checkpoints")  # folders that hold nothing but folders
_RUNS = ("seed_[0-9]*", "fold_[0-9]*")  # those of a group, whole or damaged


def foreign_files(folder: Path) -> list[Path]:
    """The files below a run folder that nnrun did not write, sorted; without links, which hold nothing."""
    return sorted(_foreign(folder, folder))


def remove_ours(folder: Path) -> None:
    """Removes all but the foreign files and the folders that they lie in; its state goes last.  Raises MachineError."""
    foreign = set(foreign_files(folder))
    kept = {parent for path in foreign for parent in path.parents}
    _remove(folder, foreign, kept)


def _remove(folder: Path, foreign: set[Path], kept: set[Path]) -> None:
    for path in sorted(folder.iterdir(), key=lambda path: path.name == run.STATE):
        if path.is_dir() and not path.is_symlink():
            if path in kept:
                _remove(path, foreign, kept)
            else:
                fsio.remove_folder(path)
        elif path not in foreign:
            fsio.remove_file(path)


def _foreign(folder: Path, top: Path) -> Iterator[Path]:
    for path in folder.iterdir():
        if path.is_symlink() or path.name.startswith(fsio.TEMPORARY):
            continue
        if path.is_dir():
            if _is_known(path):
                yield from _foreign(path, top)
            else:
                yield from (inner for inner in path.rglob("*") if inner.is_file())
        elif not _is_ours(path, top):
            yield path


def _is_known(folder: Path) -> bool:
    """Whether a folder is one that nnrun makes."""
    if run.is_run(folder) or any(fnmatchcase(folder.name, name) for name in _RUNS):
        return True
    return folder.name in _OF_RUNS or folder.parent.name in _OF_RUNS[:-1] or _patterns(folder) is not None


def _is_ours(path: Path, top: Path) -> bool:
    patterns = _patterns(path.parent) if path.parent != top else None
    if patterns is None:
        return path.name in _FILES and path.parent.name not in _OF_RUNS
    return any(fnmatchcase(path.name, pattern) for pattern in patterns)


def _patterns(folder: Path) -> tuple[str, ...] | None:
    """Of a folder whose files have known names; None of any other."""
    return next((files for name, files in _INSIDE.items() if fnmatchcase(folder.name, name)), None)
