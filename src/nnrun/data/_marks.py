"""Cells that a spec says to count as missing: `data.missing_marks`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from nnrun.data._column import Column, Table, canonical
from nnrun.data._patterns import check_patterns, fitting
from nnrun.data._request import MissingMarks
from nnrun.errors import one_line

__all__ = ["unused_marks", "with_marks"]


def with_marks(table: Table, marks: MissingMarks | Mapping[str, MissingMarks] | None) -> Table:
    """The table whose columns know their marks.  Raises DataError for a name or pattern that fits no column."""
    if not marks:
        return table
    if isinstance(marks, Mapping):
        check_patterns(table, marks, "missing_marks", table.columns)
        by_name = {name: marks[pattern] for name, pattern in fitting(table, marks, table.columns).items()}
    else:
        by_name = dict.fromkeys(table.columns, marks)
    columns = {
        name: column._replace(marks=_texts(by_name.get(name, []))) for name, column in table.columns.items()
    }
    return table._replace(columns=columns)


def _texts(marks: MissingMarks) -> tuple[str, ...]:
    """As cells are: -999 is `-999`, whatever YAML took it for."""
    return tuple(mark.strip() if isinstance(mark, str) else canonical(str(mark), mark) for mark in marks)


def unused_marks(table: Table) -> Iterator[str]:
    """A note for each mark that no cell of its columns is."""
    columns: dict[str, list[Column]] = {}
    for column in table.columns.values():
        for mark in column.marks:
            columns.setdefault(mark, []).append(column)
    for mark, with_mark in columns.items():
        if not any(_has(column, mark) for column in with_mark):
            yield f"data.missing_marks: no cell is '{one_line(mark, 40)}'"


def _has(column: Column, mark: str) -> bool:
    alone, without = column._replace(marks=(mark,)), column._replace(marks=())
    return any(
        cell == mark or (alone.is_missing(cell) and not without.is_missing(cell)) for cell in {*column.cells}
    )
