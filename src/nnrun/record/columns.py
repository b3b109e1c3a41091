"""columns.json: the data that a run is trained on, in words, for people and for `nnrun show`.

    columns  [{name, role, kind, why, becomes, note}]
    notes    [line], where there are any: what is left out, what deserves a look

What predictions need of them is in preprocessing.json.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, NotRequired, cast

from typing_extensions import TypedDict

from nnrun.errors import RunError, one_line
from nnrun.preprocessing import About
from nnrun.record import run
from nnrun.storage import fsio

__all__ = ["COLUMNS", "ColumnsFile", "Words", "read", "write"]

COLUMNS = "columns.json"


class _ColumnWords(TypedDict):
    name: str
    role: str  # feature, target, excluded, weights, group or time
    kind: str  # number, category, date, identifier, text, constant or empty
    why: str  # it is of this kind
    becomes: str  # of a feature: its inputs, and what stands for missing and unknown cells
    note: str  # what deserves a look


class ColumnsFile(TypedDict):
    """The content of columns.json."""

    columns: list[_ColumnWords]
    notes: NotRequired[list[str]]


class Words(NamedTuple):
    """The columns of a table, and lines about the data."""

    columns: list[About]
    notes: list[str]


def write(folder: Path, about: Sequence[About], notes: Sequence[str]) -> None:
    """Writes the file into a run folder; nothing where there is nothing to say.  Raises MachineError."""
    if about or notes:
        content: ColumnsFile = {"columns": [cast("_ColumnWords", column._asdict()) for column in about]}
        if notes:
            content["notes"] = list(notes)
        fsio.write_json(folder / COLUMNS, content)


def read(folder: Path) -> Words:
    """What the file in a run folder says, nothing where there is none.  Raises RunError if it is damaged."""
    file = folder / COLUMNS
    if not file.is_file():
        return Words([], [])
    try:
        content: ColumnsFile = run.read_json(file)
        return Words([About(**entry) for entry in content["columns"]], [*map(str, content.get("notes", []))])
    except (KeyError, TypeError) as error:
        raise RunError(
            f"{one_line(file)}: not written by nnrun; restore it from a copy, or remove it"
        ) from error
