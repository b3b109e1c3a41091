"""What a spec is trained on, for the terminal: the columns of a table, and the sizes of the parts."""

from __future__ import annotations

from typing import TYPE_CHECKING, NotRequired

from typing_extensions import TypedDict

from nnrun.commands import console

if TYPE_CHECKING:
    from nnrun.types import Dataset

__all__ = ["DataReport", "note_columns", "show_data"]


class DataReport(TypedDict):
    """What `nnrun train --dry-run --json` prints: what a spec would be trained on."""

    columns: list[dict[str, str]]  # of a table
    examples: dict[str, int]  # of each part
    inputs: list[int]  # the shape of one
    notes: NotRequired[list[str]]
    folds: NotRequired[int]


def note_columns(dataset: Dataset, folds: int = 0) -> None:
    """Prints the columns of a table and what else deserves a look on stderr, before anything trains.

    folds   how many there are; the columns are those of the first
    """
    from nnrun.report.columns import column_lines

    if dataset.about and folds:
        console.note(f"columns of fold 1 of {folds}; each fold fits its own to what it trains on:")
    for line in (*column_lines(dataset.about), *dataset.notes):
        console.note(line)


def show_data(dataset: Dataset, as_json: bool, folds: int = 0) -> None:
    """What a spec would be trained on: the columns of a table, and the sizes of the parts.

    folds   how many there are; what is shown is of the first
    """
    from nnrun.report.columns import column_lines

    sizes = {name: part.examples for name, part in dataset.fitted.parts.items()}
    if as_json:
        columns = [column._asdict() for column in dataset.about]
        return console.print_json(
            {"columns": columns, "examples": sizes, "inputs": list(dataset.fitted.shape)}
            | ({"notes": list(dataset.notes)} if dataset.notes else {})
            | ({"folds": folds} if folds else {})
        )
    shape = " x ".join(map(str, dataset.fitted.shape))
    parts = ", ".join(f"{count} in {name}" for name, count in sizes.items())
    first = f"fold 1 of {folds}: " if folds else ""
    return console.show(
        *column_lines(dataset.about),
        *dataset.notes,
        f"{first}examples: {parts}; {shape} {'input' if shape == '1' else 'inputs'} each; nothing was trained",
    )
