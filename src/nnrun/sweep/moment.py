"""The code and data of one session of a sweep: whoever trains in another process compares them with what it has.

A module or a table that is edited while a sweep runs would be read by the workers that start later, and the trials
would be compared as if they had the same.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from typing_extensions import TypedDict

from nnrun import catalog
from nnrun.catalog import Spec
from nnrun.errors import RunError, one_line
from nnrun.record import provenance
from nnrun.record.names import RESOLVED
from nnrun.storage import fsio

__all__ = ["ChangedError", "Expected", "Moment", "check_code", "check_specs", "has_own_spec"]

_REMEDY = "put it back as it was, or continue with what it is now by `nnrun sweep --resume`"


class ChangedError(RunError):
    """Code or data are not those that the sweep trains with; no trial is to blame."""


class Expected(TypedDict):
    """What another process must have, as JSON: digests of nnrun and of the user's modules."""

    package: str
    files: dict[str, str | None]  # None: a file that is gone


class Moment:
    """Digests of the code and data that this process has read, as they were when it read them first."""

    def __init__(self) -> None:
        self._data: dict[str, str] = {}
        self._files: dict[str, str | None] = {}
        self._package = _package_digest()

    def note(self, checked: Spec, data: str, digest: str) -> None:
        """Remembers the user's modules of a spec, and its data.

        data     what decides which dataset is loaded
        digest   of the dataset
        Raises ChangedError where the data are not what they were when this process read them before.
        """
        for file in catalog.imported_files(checked):
            self._files.setdefault(str(file), _digest(file))
        if self._data.setdefault(data, digest) != digest:
            raise ChangedError("the data have changed while the sweep runs; put them back as they were")

    def expected(self) -> Expected:
        """What another process must have, as JSON; each run folder says which data it needs."""
        return {"package": self._package, "files": self._files}


def check_code(expected: Expected) -> None:
    """Raises ChangedError where nnrun or a module of the user is not what the sweep trains with."""
    if _package_digest() != expected["package"]:
        raise ChangedError(f"{one_line(_home(), 120)}: nnrun has changed while the sweep runs; {_REMEDY}")
    for name, digest in expected["files"].items():
        if _digest(Path(name)) != digest:
            raise ChangedError(f"{one_line(name, 120)}: it has changed while the sweep runs; {_REMEDY}")


def check_specs(folders: Sequence[Path]) -> None:
    """Raises ChangedError where the spec of a run folder is not the one that it was created with."""
    for folder in folders:
        if not has_own_spec(folder):
            raise ChangedError(f"{one_line(folder)}/resolved.yaml: it has changed since; restore it")


def has_own_spec(folder: Path) -> bool:
    """Whether the spec in a run folder is the one that it was created with."""
    written = provenance.read(folder).get("spec_hash")
    return written == _digest(folder / RESOLVED)


def _digest(file: Path) -> str | None:
    """None for a file that is gone."""
    try:
        return hashlib.sha256(fsio.read_file(file)).hexdigest()
    except RunError:
        return None


def _home() -> Path:
    return Path(__file__).resolve().parents[1]


def _package_digest() -> str:
    whole = hashlib.sha256()
    for file in sorted(_home().rglob("*.py")):
        whole.update(f"{file.relative_to(_home())} {_digest(file)}\n".encode())
    return whole.hexdigest()
