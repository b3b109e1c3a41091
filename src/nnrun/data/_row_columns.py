"""Columns of a table that are about its rows: how much each counts, and what splits them."""

from __future__ import annotations

import numpy as np

from nnrun.data._cells import is_missing
from nnrun.data._column import Column, Table
from nnrun.data._dates import days_of
from nnrun.data._roles import RowColumns
from nnrun.errors import one_line

__all__ = ["check_apart", "groups_of", "times_of", "weights_of"]


def weights_of(table: Table, columns: RowColumns) -> np.ndarray | None:
    """(n,) float64 ≥ 0, not all of them 0; None where no column says it.  Raises DataError."""
    if columns.weights is None:
        return None
    column = table.column(columns.weights, "weights")
    values = column.numbers()
    if (values < 0).any():
        column.refuse(int((values < 0).argmax()), "is no weight; write 0 or more")
    if not values.any():
        column.refuse(0, "is a weight, and all of them are 0; write what counts more than nothing")
    return values


def groups_of(table: Table, columns: RowColumns) -> np.ndarray | None:
    """(n,) integers, equal for rows of a group; None where no column says it.  Raises DataError."""
    if columns.split_by is None:
        return None
    column = _filled(table.column(columns.split_by, "split_by"))
    code = {name: number for number, name in enumerate(sorted(set(column.cells)))}
    return np.array([code[cell] for cell in column.cells], np.int64)


def times_of(table: Table, columns: RowColumns, date_format: str | None) -> np.ndarray | None:
    """(n,) float64: numbers, or days since 1970; None where no column says it.  Raises DataError."""
    if columns.time is None:
        return None
    column = _filled(table.column(columns.time, "time"))
    if column.number(column.cells[0]) is not None:
        return column.numbers()
    days = [days_of(cell, date_format) for cell in column.cells]
    for row, value in enumerate(days):
        if value is None:
            form = "ISO 8601 (2024-01-31)" if date_format is None else date_format
            column.refuse(
                row, f"is neither a number nor a date as {form}; correct it, or write data.date_format"
            )
    return np.array(days, np.float64)


def check_apart(table: Table, test: Table, columns: RowColumns) -> None:
    """Raises DataError where a group of the table is in that of the test part too."""
    if columns.split_by is None:
        return
    known = set(table.column(columns.split_by, "split_by").cells)
    column = test.column(columns.split_by, "split_by")
    row = next((row for row, cell in enumerate(column.cells) if cell in known), None)
    if row is not None:
        column.refuse(
            row,
            f"is a group of {one_line(table.place)} too, which data.split_by keeps apart; remove its rows from one of "
            "the files",
        )


def _filled(column: Column) -> Column:
    """The column, if none of its cells is missing."""
    row = next((row for row, cell in enumerate(column.cells) if is_missing(cell)), None)
    if row is not None:
        column.refuse(
            row, "is a missing value, and rows are split by this column; fill it in or remove the row"
        )
    return column
