"""Columns of a table as inputs: numbers, categories and dates, with what stands for missing and unknown cells."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple, NoReturn

import numpy as np

from nnrun.data._column import Column, Table
from nnrun.data._date_forms import days_in
from nnrun.data._dates import date_inputs, days_of
from nnrun.data._faults import Faults
from nnrun.data._yaml_name import quoted
from nnrun.errors import Warn, one_line
from nnrun.preprocessing import Date, FittedColumn

__all__ = ["Parsed", "UnknownNames", "codes_of", "encoded", "features_of", "parsed", "refuse_missing"]

_UNKNOWN = -1  # the code of a name that becomes zeros


class Parsed(NamedTuple):
    """A column of which the cells were read.

    values   (n,) float64: numbers, or days since 1970; NaN where the cell is missing.  None: cells are names
    """

    column: Column
    values: np.ndarray | None
    missing: np.ndarray  # (n,) bool


class UnknownNames:
    """The names in columns of a table, which may come in pieces, that the training part lacks."""

    def __init__(self, cells: int = 0) -> None:
        self._columns: dict[str, tuple[int, str]] = {}  # by name: how many cells, and the first in words
        self._cells = cells  # of each column

    def begin(self, cells: int) -> None:
        """Counts the rows of the next piece."""
        self._cells += cells

    def add(self, column: Column, rows: list[int], meaning: str) -> None:
        """Takes in the rows of a column with such names, and what they count as."""
        name = (
            f"'{one_line(column.cells[rows[0]], 40)}' in row {column.lines[rows[0]]}; they count as {meaning}"
        )
        count, first = self._columns.get(column.name, (0, name))
        self._columns[column.name] = count + len(rows), first

    def report(self, place: str, warn: Warn) -> None:
        """Warns of each column that has any."""
        for name, (count, first) in self._columns.items():
            warn(
                f"{place}: column '{one_line(name, 40)}': the training part lacks the names in {count} of "
                f"{self._cells} cells, the first {first}"
            )


def parsed(column: Column, is_category: bool, date: Date | None) -> Parsed:
    """Reads the cells of a feature.  Raises DataError naming FILE:ROW:COLUMN of one that is not of its kind."""
    missing = np.array([column.is_missing(cell) for cell in column.cells], bool)
    if is_category:
        return Parsed(column, None, missing)
    values = np.full(len(column.cells), np.nan)
    rows = np.flatnonzero(~missing)
    filled = column
    if missing.any():
        filled = column._replace(
            cells=tuple(column.cells[row] for row in rows), lines=tuple(column.lines[row] for row in rows)
        )
    if not len(rows):
        return Parsed(column, values, missing)
    values[rows] = filled.quantities(_remedy(column)) if date is None else days_in(filled, date.format)
    return Parsed(column, values, missing)


def _remedy(column: Column) -> str:
    """For a cell that is no number."""
    if column.trained:
        return "the run was trained with numbers in this column; correct it, or leave the row out"
    return (
        f"correct it, or add {quoted(column.name)} to data.categorical if the column holds names, or such a cell "
        "to data.missing_marks if it says that there is no value"
    )


def features_of(
    part: Table, columns: Sequence[FittedColumn], unknown: UnknownNames | None = None
) -> np.ndarray:
    """(n, inputs) float64: the features of a table.

    unknown   takes in the names that the training part lacks
    Raises DataError with a line for each column that is at fault, naming FILE:ROW:COLUMN of its first mistake.
    """
    inputs, faults = [], Faults()
    for feature in columns:
        with faults.collected():
            column = part.column(feature.name, "features")._replace(marks=feature.marks)
            read = parsed(column, feature.categories is not None, feature.date)
            inputs.append(encoded(read, feature, unknown))
    faults.refuse()
    return np.hstack(inputs)


def encoded(read: Parsed, feature: FittedColumn, unknown: UnknownNames | None = None) -> np.ndarray:
    """(n, width) float64: the inputs that a feature becomes.  Raises DataError for a cell that it has no input for."""
    if feature.fill is None and read.missing.any():
        _refuse_missing(read, int(read.missing.argmax()), feature)
    inputs = _numbers(read, feature) if feature.categories is None else _one_hot(read, feature, unknown)
    return np.hstack([inputs, read.missing[:, None].astype(np.float64)]) if feature.indicator else inputs


def _numbers(read: Parsed, feature: FittedColumn) -> np.ndarray:
    """(n, 1) numbers, or the inputs of dates."""
    assert read.values is not None
    origin = 0.0 if feature.date is None else days_of(feature.date.origin, None) or 0.0
    fill = np.nan if feature.fill is None else float(feature.fill) + origin
    values = np.where(read.missing, fill, read.values)
    if feature.date is None:
        return values[:, None]
    return date_inputs(values, feature.date.parts, origin)


def _one_hot(read: Parsed, feature: FittedColumn, unknown: UnknownNames | None) -> np.ndarray:
    """(n, k) float64: 1 at the category, or at the last input for rare names; zeros for unknown ones if so asked."""
    known = feature.categories or ()
    cells = list(read.column.cells)
    for row in np.flatnonzero(read.missing):
        cells[row] = str(feature.fill)
    size = len(known) + bool(feature.rare)
    codes = dict.fromkeys(feature.rare, size - 1) | {name: code for code, name in enumerate(known)}
    if feature.unknown != "refuse":
        rest = size - 1 if feature.unknown == "other" and feature.rare else _UNKNOWN
        new = [row for row, name in enumerate(cells) if name not in codes]
        if new and unknown is not None:
            unknown.add(read.column, new, "zeros" if rest == _UNKNOWN else "rare ones")
        codes |= {cells[row]: rest for row in new}
    remedy = (
        f"{'train with' if read.column.trained else 'write'} data.unknown: zeros to take names that are new"
    )
    return np.vstack([np.eye(size), np.zeros(size)])[codes_of(cells, codes, read.column, remedy)]


def codes_of(names: Sequence[str], codes: dict[str, int], column: Column, remedy: str = "") -> np.ndarray:
    """(n,) int32: the code of each name; DataError for those that have none, since the training part lacks them.

    remedy   what helps beside another name
    """
    unknown = dict.fromkeys(name for name in names if name not in codes)
    if unknown:
        first, *rest = unknown
        others = f", nor {'does' if len(rest) == 1 else 'do'} {_quoted(rest)}" if rest else ""
        remedy = f"; {remedy}" if remedy else ""
        row = names.index(first)
        column.refuse(row, f"does not occur in the training part{others}; it has {_quoted(codes)}{remedy}")
    return np.array([codes[name] for name in names], np.int32)


def _quoted(names: Iterable[str]) -> str:
    """The names, each in quotes, for a comma may be part of one."""
    return one_line(", ".join(f"'{name}'" if name else "missing cells" for name in names), 80)


def _refuse_missing(read: Parsed, row: int, feature: FittedColumn) -> None:
    if read.column.trained:
        refuse_missing(read, row, "which the run was trained without; fill it in or leave the row out")
    name, rule = quoted(read.column.name), "median" if feature.categories is None else "most_frequent"
    refuse_missing(read, row, f"add {name}: {rule} to data.missing, fill it in or remove the row", ";")


def refuse_missing(read: Parsed, row: int, remedy: str, then: str = ",") -> NoReturn:
    """Raises DataError for a missing cell of a feature."""
    what = "is a missing value"
    if read.values is None:
        what = "looks like a missing value" if read.column.cells[row] else "is empty"
    read.column.refuse(row, f"{what}{then} {remedy}")
