"""Columns of a table that are about its rows: how much each counts, and what splits them."""

from __future__ import annotations

import math

import numpy as np

from nnrun.amounts import figure
from nnrun.data._column import Column, Table, canonical
from nnrun.data._date_forms import days_in
from nnrun.data._dates import days_of
from nnrun.data._fit_columns import refuse_alike
from nnrun.data._request import RowColumns
from nnrun.errors import DataError, one_line

__all__ = ["check_apart", "groups_of", "scaled_weights", "times_of", "weights_of"]

_LEAST = 1e-30  # of a weight, as a share of the largest: float32 keeps it


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


def scaled_weights(weights: np.ndarray) -> np.ndarray:
    """(n,) the weights of a training part, divided by a power of two so that the largest is in [1, 2).

    Only their ratios count, and the sum of a batch stays a float32 number.  Raises DataError where nothing counts, or
    one counts so much that another is lost beside it.
    """
    largest = weights.max()
    if not largest:
        raise DataError(
            "data.weights: all rows of the training part weigh 0, so nothing would be learned; give some of them a "
            "weight, or split the rows differently"
        )
    if (faint := weights[(weights > 0) & (weights < _LEAST * largest)]).size:
        raise DataError(
            f"data.weights: {figure(faint[0], 6)} is lost beside {figure(largest, 6)}, the largest of the training "
            "part; write 0 in its place, or weights that are nearer to one another"
        )
    _, power = np.frexp(largest)
    return np.ldexp(weights, 1 - int(power))


def groups_of(table: Table, columns: RowColumns) -> np.ndarray | None:
    """(n,) integers, equal for rows of a group; None where no column says it.  Raises DataError."""
    if columns.split_by is None:
        return None
    column = _filled(table.column(columns.split_by, "split_by"))
    refuse_alike(column, set(column.cells))
    names = _group_names(column)
    code = {name: number for number, name in enumerate(sorted(set(names)))}
    return np.array([code[name] for name in names], np.int64)


def _group_names(column: Column) -> list[str]:
    """The group of each row; numbers written differently (1, 1.0, 01) are one group, for nothing may leak."""
    values = map(column.number, column.cells)
    return [
        cell if value is None or not math.isfinite(value) else canonical(cell, value)
        for cell, value in zip(column.cells, values, strict=True)
    ]


def times_of(table: Table, columns: RowColumns, date_format: str | None) -> np.ndarray | None:
    """(n,) float64: numbers, or days since 1970; None where no column says it.  Raises DataError."""
    if columns.time is None:
        return None
    column = _filled(table.column(columns.time, "time"))
    # With a format such as %d%m%Y, 31012024 is a date, of which the number says nothing about its order.
    is_date = date_format is not None and days_of(column.cells[0], date_format) is not None
    if not is_date and column.number(column.cells[0]) is not None:
        return column.numbers()
    form = "ISO 8601 (2024-01-31)" if date_format is None else date_format
    return days_in(column, date_format, f"is neither a number nor a date as {form}")


def check_apart(table: Table, test: Table, columns: RowColumns, date_format: str | None) -> None:
    """Raises DataError where a group of the table is in that of the test part too, or that begins before it ends."""
    if columns.split_by is not None:
        known = set(_group_names(table.column(columns.split_by, "split_by")))
        column = _filled(test.column(columns.split_by, "split_by"))
        row = next((row for row, name in enumerate(_group_names(column)) if name in known), None)
        if row is not None:
            column.refuse(
                row,
                f"is a group of {one_line(table.place)} too, which data.split_by keeps apart; remove its rows from one "
                "of the files",
            )
    begin, end = times_of(test, columns, date_format), times_of(table, columns, date_format)
    if columns.time is not None and begin is not None and end is not None and begin.min() < end.max():
        last = table.column(columns.time, "time").cells[int(end.argmax())]
        test.column(columns.time, "time").refuse(
            int(begin.argmin()),
            f"is earlier than {one_line(last, 40)}, the last time of {one_line(table.place)}, and data.time keeps the "
            "test part after what is trained on; remove the earlier rows, or leave data.time out",
        )


def _filled(column: Column) -> Column:
    """The column, if none of its cells is missing."""
    column.check_marks()
    row = next((row for row, cell in enumerate(column.cells) if column.is_missing(cell)), None)
    if row is not None:
        column.refuse(
            row, "is a missing value, and rows are split by this column; fill it in or remove the row"
        )
    return column
