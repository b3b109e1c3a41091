"""What a spec is trained on, for the terminal: the columns of a table, and the sizes of the parts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nnrun.commands import console

if TYPE_CHECKING:
    from nnrun.types import Dataset

__all__ = ["note_columns", "show_data"]


def note_columns(dataset: Dataset) -> None:
    """Prints the columns of a table on stderr, before anything trains."""
    from nnrun.report.columns import column_lines

    for line in column_lines(dataset.about):
        console.note(line)


def show_data(dataset: Dataset, as_json: bool) -> None:
    """What a spec would be trained on: the columns of a table, and the sizes of the parts."""
    from nnrun.report.columns import column_lines

    sizes = {name: part.examples for name, part in dataset.fitted.parts.items()}
    if as_json:
        columns = [column._asdict() for column in dataset.about]
        return console.print_json(
            {"columns": columns, "examples": sizes, "inputs": list(dataset.fitted.shape)}
        )
    shape = " x ".join(map(str, dataset.fitted.shape))
    parts = ", ".join(f"{count} in {name}" for name, count in sizes.items())
    return console.show(
        *column_lines(dataset.about), f"examples: {parts}; {shape} inputs each; nothing was trained"
    )
