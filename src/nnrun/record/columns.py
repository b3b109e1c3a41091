"""columns.json: the columns of the table that a run is trained on, in words, for people and for `nnrun show`.

    columns  [{name, role, kind, why, becomes, note}]

What predictions need of them is in preprocessing.json.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from nnrun.errors import RunError, one_line
from nnrun.preprocessing import About
from nnrun.record import run
from nnrun.storage import fsio

__all__ = ["COLUMNS", "read", "write"]

COLUMNS = "columns.json"


def write(folder: Path, about: Sequence[About]) -> None:
    """Writes the file into a run folder; nothing where the data are no table.  Raises MachineError."""
    if about:
        fsio.write_json(folder / COLUMNS, {"columns": [column._asdict() for column in about]})


def read(folder: Path) -> list[About]:
    """What the file in a run folder says, [] where there is none.  Raises RunError if it is damaged."""
    file = folder / COLUMNS
    if not file.is_file():
        return []
    try:
        return [About(**entry) for entry in run.read_json(file)["columns"]]
    except (KeyError, TypeError) as error:
        raise RunError(
            f"{one_line(file)}: not written by nnrun; restore it from a copy, or remove it"
        ) from error
