"""What makes a run folder one of an ensemble: its record, and the members in it as the record lists them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NotRequired

from typing_extensions import TypedDict

from nnrun.errors import RunError, one_line
from nnrun.record import run
from nnrun.record.checkpoint import arrays_file, sha256_of
from nnrun.record.names import ENSEMBLE

__all__ = ["EnsembleRecord", "ListedMember", "is_ensemble", "verified"]


class ListedMember(TypedDict):
    """What ensemble.json says of a member."""

    name: str
    run: str
    step: int
    parameters: str  # trained, or the name of an average that the run kept
    sha256: str  # of its arrays
    weight: float


class EnsembleRecord(TypedDict):
    """The content of ensemble.json."""

    format: NotRequired[int]
    kind: str  # of what it is an average: predictions or parameters
    average: str
    members: list[ListedMember]
    temperature: float | None


def is_ensemble(folder: Path) -> bool:
    """Whether a run folder is that of an average of predictions; one of parameters is a run like any other."""
    return (folder / ENSEMBLE).is_file() and not (folder / "checkpoints").is_dir()


def verified(folder: Path, listed: Sequence[ListedMember] | None, kind: str = "predictions") -> list[Path]:
    """The members in the folder of an ensemble, in their order.

    listed   what its record says of each
    kind     of what it is an average: predictions, or parameters, whose checkpoint is missing then
    Raises RunError with a line for each that is missing, is another one, or is not listed.
    """
    if kind == "parameters":
        raise RunError(f"{one_line(folder)}: its checkpoint is missing; restore it or make the average again")
    try:
        expected = [(entry.get("name"), entry["sha256"], int(entry["step"])) for entry in listed or ()]
        if not expected:
            raise ValueError("no members")
    except (KeyError, TypeError, ValueError, AttributeError):
        raise RunError(f"{one_line(folder / ENSEMBLE)}: damaged; make the ensemble again") from None
    paths = [folder / f"member_{i:02d}" for i in range(1, len(expected) + 1)]
    problems = [_mismatch(path, *entry) for path, entry in zip(paths, expected, strict=True)]
    problems += [
        f"{one_line(path)}: not a member that {ENSEMBLE} lists; move it out of the folder"
        for path in run.members(folder)
        if path not in paths
    ]
    if any(problems):
        raise RunError("\n".join(filter(None, problems)))
    return paths


def _mismatch(path: Path, name: str | None, sha256: str, step: int) -> str:
    """What is wrong with a member in its folder, "" if nothing is."""
    place = one_line(path) + (f" ({one_line(name, 80)})" if name else "")
    file = arrays_file(path, step)
    if not run.is_run(path):
        return f"{place}: this member is missing; put it back or make the ensemble again"
    if not file.is_file():
        return f"{place}: this member's checkpoint of step {step} is missing; put it back or make the ensemble again"
    if sha256_of(file) != sha256:
        return f"{place}: not the member that {ENSEMBLE} lists; put that back or make the ensemble again"
    return ""
