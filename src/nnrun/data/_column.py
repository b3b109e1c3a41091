"""A table of text cells, with the place of every cell."""

from __future__ import annotations

import re
from decimal import Decimal
from functools import lru_cache
from typing import NamedTuple, NoReturn

import numpy as np

from nnrun.data._cells import is_missing, odd_number
from nnrun.data._near import nearest
from nnrun.data._rounding import check_digits
from nnrun.errors import DataError, one_line

__all__ = ["Column", "Table", "canonical", "number"]

_FLOAT32_MAX = float(np.finfo(np.float32).max)
_WHOLE = re.compile(r"[+-]?[0-9]+")
_DIGITS = 15  # of a decimal number, that a float64 always keeps


class Column(NamedTuple):
    """One column, and where its cells are."""

    name: str
    cells: tuple[str, ...]  # without surrounding blanks
    lines: tuple[int, ...]  # in the file, counted from 1
    place: str  # the file
    position: int  # in the file, counted from 1
    decimal: str = "."  # what numbers have before their fractions
    trained: bool = False  # whether a model that is trained already is to predict for it
    padded: bool = False  # whether cells that differ in surrounding blanks alone became one
    thousands: str = ""  # what numbers may have between their thousands
    marks: tuple[str, ...] = ()  # cells that say that there is no value, beside those that always do

    def is_missing(self, cell: str) -> bool:
        """Whether a cell says that there is no value; of marks that are numbers, however it is written."""
        if is_missing(cell) or cell in self.marks:
            return True
        return bool(self.marks) and self.number(cell) in _numbers_in(self.marks)

    def number(self, cell: str) -> float | None:
        """The number in a cell, perhaps infinite or NaN; None: it is not one."""
        return number(cell, self.decimal, self.thousands)

    def plain(self, cell: str) -> str:
        """The cell without what stands between its thousands."""
        return _without_thousands(cell, self.decimal, self.thousands)

    def refuse(self, row: int, problem: str) -> NoReturn:
        """Raise DataError for the cell of `row` (counted from 0), naming FILE:ROW:COLUMN."""
        place = f"{self.place}:{self.lines[row]}:{self.position}"
        shown = one_line(self.cells[row], 40)
        raise DataError(f"{place}: column '{one_line(self.name, 40)}': '{shown}' {problem}")

    def numbers(self, remedy: str = "correct it") -> np.ndarray:
        """(n,) float64, or DataError at the first cell that is not a finite number.

        remedy   for a cell that is a name
        """
        self.check_marks()
        values = [self.number(cell) for cell in self.cells]
        for row, value in enumerate(values):
            if value is None:
                self.refuse_number(row, remedy)
            if not abs(value) <= _FLOAT32_MAX:
                self.refuse(row, "is not a finite float32 number; correct or remove the row")
        return np.array(values, np.float64)

    def quantities(self, remedy: str = "correct it") -> np.ndarray:
        """(n,) float64, as `numbers`; DataError also where most of the distinct numbers are one in float64."""
        values = self.numbers(remedy)
        if max(map(len, self.cells), default=0) > _DIGITS:  # only then may cells that differ be one float64
            place = f"{self.place}:{self.lines[0]}:{self.position}: column '{one_line(self.name, 40)}'"
            written = {Decimal(self.plain(cell).replace(self.decimal, ".")) for cell in self.cells}
            check_digits(len(written), len(np.unique(values)), place)
        return values

    def refuse_number(self, row: int, remedy: str = "correct it") -> NoReturn:
        """Raise DataError for a cell that should be a number, naming what it looks like."""
        cell = self.cells[row]
        if self.is_missing(cell):
            self.refuse(row, "is a missing value; fill it in or remove the row")
        problem = odd_number(cell, self.decimal, self.trained, self.thousands) or f"is not a number; {remedy}"
        others = sum(self.number(cell) is None and not self.is_missing(cell) for cell in self.cells) - 1
        self.refuse(
            row,
            problem + (f"; so {'are' if others > 1 else 'is'} {others} more of its cells" if others else ""),
        )

    def check_marks(self) -> None:
        """Raise DataError at the first cell that is a mark of the spec, of a column in which none may be missing."""
        for row, cell in enumerate(self.cells if self.marks else ()):
            if self.is_missing(cell) and not is_missing(cell):
                self.refuse(
                    row,
                    "counts as missing by data.missing_marks; fill it in or remove the row, or, where it is a value in "
                    "this column, list the marks by column: data.missing_marks: {OTHER_COLUMN: [...]}",
                )

    def check_filled(self, remedy: str = "") -> None:
        """Raise DataError at the first cell that is empty or says that its value is missing."""
        self.check_marks()
        for row, cell in enumerate(self.cells):
            if not cell:
                self.refuse(row, "is empty; fill it in or remove the row")
            if self.is_missing(cell):
                self.refuse(row, f"looks like a missing value; fill it in or remove the row{remedy}")


class Table(NamedTuple):
    """The columns of a file, in its order."""

    place: str
    columns: dict[str, Column]

    def column(self, name: str, option: str) -> Column:
        """The column `name`, which the spec's `option` asks for; DataError with the nearest name."""
        if name in self.columns:
            return self.columns[name]
        near = nearest(name, self.columns)
        hint = (
            f"did you mean '{one_line(near, 40)}'?"
            if near
            else f"there are {one_line(', '.join(self.columns), 120)}"
        )
        raise DataError(f"{self.place}:1: data.{option}: there is no column '{one_line(name, 40)}'; {hint}")


def _without_thousands(cell: str, decimal: str, thousands: str) -> str:
    """The cell without what stands between its thousands, where these are in groups of three; else as it is.

    0.123 stays: what begins with 0 has no thousands, so the mark stands before a fraction there.
    """
    if not thousands or thousands not in cell:
        return cell
    pattern = rf"[+-]?[1-9]\d{{0,2}}({re.escape(thousands)}\d{{3}})+({re.escape(decimal)}\d*)?"
    return cell.replace(thousands, "") if re.fullmatch(pattern, cell) else cell


def number(cell: str, decimal: str = ".", thousands: str = "") -> float | None:
    """The number in `cell`, perhaps infinite or NaN; None: it is not one.  1_000 is Python, not a number.

    decimal     what stands before fractions: a point, or a comma in place of it
    thousands   what may stand between thousands; "": nothing
    """
    cell = _without_thousands(cell, decimal, thousands)
    if decimal != ".":
        if "." in cell:
            return None
        cell = cell.replace(decimal, ".")
    try:
        return None if "_" in cell or not cell.isascii() else float(cell)
    except ValueError:
        return None


@lru_cache(maxsize=256)
def _numbers_in(marks: tuple[str, ...]) -> frozenset[float]:
    """The marks that are numbers: once for all cells of a column."""
    return frozenset(value for value in map(number, marks) if value is not None)


def canonical(cell: str, value: float) -> str:
    """One way to write the finite number in a cell; of whole numbers every digit counts, however many there are."""
    if _WHOLE.fullmatch(cell):
        return str(int(cell))
    return str(int(value)) if value.is_integer() else repr(value)
