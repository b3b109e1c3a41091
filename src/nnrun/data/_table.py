"""Reading a table of text cells from a CSV file, strictly, with the place of every cell."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import NamedTuple

from nnrun.data._cells import alike, oddity
from nnrun.data._column import Column, Table, number
from nnrun.data._files import open_file
from nnrun.errors import DataError, one_line

__all__ = ["read_numbers", "read_table"]

MAX_CSV_BYTES = 256 << 20  # as Python strings this takes several GiB; larger tables belong in an .npz
_DELIMITERS = ";\t|,"
_UNNAMED = "the first row must hold names; if it counts the rows, remove the column (pandas: to_csv(..., index=False))"


def read_table(path: str, delimiter: str, trained: bool = False, decimal: str = ".") -> Table:
    """The CSV file `path`: UTF-8, a header of distinct names, and rows as long as it.

    Blank lines are skipped.  Raises DataError naming FILE:ROW:COLUMN of the first mistake.

    trained   whether a run has its delimiter already, so that the file must follow
    decimal   what numbers have before their fractions
    """
    rows = _rows(path, delimiter)
    _check_delimiter(rows[0].cells, delimiter, one_line(path), trained)
    table = _table(rows, _header(rows[0].cells, one_line(path)), rows[1:], delimiter, one_line(path))
    columns = {
        name: column._replace(decimal=decimal, trained=trained) for name, column in table.columns.items()
    }
    return Table(table.place, columns)


def read_numbers(path: str, delimiter: str) -> Table:
    """A table of numbers that may lack a header: then its columns are called 1, 2, ...

    Raises DataError as `read_table`, and where the first row may be either.
    """
    rows, place = _rows(path, delimiter), one_line(path)
    cells = [cell.strip() for cell in rows[0].cells]
    named = [number(cell) is None for cell in cells]
    if all(named):
        return _table(rows, _header(cells, place), rows[1:], delimiter, one_line(path))
    where = f"{place}:{rows[0].line}"
    if any(named):
        odd = named.index(True)
        raise DataError(
            f"{where}:{odd + 1}: '{one_line(cells[odd], 40)}' is not a number, and others in the first row are; "
            "correct it, or write a name for every column"
        )
    counted = [str(i) for i in range(len(cells) + 1)]
    if cells in (counted[:-1], counted[1:]):
        raise DataError(
            f"{where}: {one_line(', '.join(cells), 40)} may be the names of the columns or the first inputs; write "
            "names that are not numbers (x0, x1, ...) above the inputs"
        )
    return _table(rows, counted[1:], rows, delimiter, place)


class _Row(NamedTuple):
    cells: list[str]
    line: int  # where it begins; a quoted cell may go over several


def _check_delimiter(header: list[str], delimiter: str, place: str, trained: bool) -> None:
    """Refuses a header that is one cell only because another character separates the names."""
    if len(header) == 1:
        for separator in (
            character for character in _DELIMITERS if character in header[0] and delimiter not in header[0]
        ):
            written = {"\t": '"\\t"'}.get(separator, f'"{separator}"')
            remedy = (
                f"the run was trained with {delimiter!r}: save it so"
                if trained
                else f"write data.delimiter: {written}"
            )
            raise DataError(f"{place}:1: the names are separated by {separator!r}; {remedy}")


def _rows(path: str, delimiter: str) -> list[_Row]:
    """The rows of a CSV file that are not blank, at least one."""
    place = one_line(path)
    reader = csv.reader(io.StringIO(_text(path, place), newline=""), delimiter=delimiter, strict=True)
    rows: list[_Row] = []
    try:
        begin = 1
        for cells in reader:
            rows += [_Row(cells, begin)] if cells else []
            begin = reader.line_num + 1
    except csv.Error as error:
        raise DataError(
            f"{place}:{reader.line_num}: is not CSV: {one_line(error)}; correct the quotes"
        ) from error
    if not rows:
        raise DataError(f"{place}: holds 0 rows; needed: a header and at least one row of data")
    return rows


def _table(rows: list[_Row], header: list[str], data: list[_Row], delimiter: str, place: str) -> Table:
    """The columns of rows of data under these names."""
    if not data:
        raise DataError(f"{place}: holds {len(rows)} rows; needed: a header and at least one row of data")
    for row, line in rows:
        if len(row) != len(header):
            raise DataError(
                f"{place}:{line}:{min(len(row), len(header)) + 1}: the row has {len(row)} cells, the header "
                f"{len(header)}; check data.delimiter ({delimiter!r}), or correct the row"
            )
    columns = zip(*(row.cells for row in data), strict=True)
    lines = tuple(row.line for row in data)
    folded = any("\n" in cell for row in data for cell in row.cells)
    return Table(
        place,
        {
            name: _column(name, cells, _lines(data, index - 1) if folded else lines, place, index)
            for index, (name, cells) in enumerate(zip(header, columns, strict=True), start=1)
        },
    )


def _column(name: str, cells: tuple[str, ...], lines: tuple[int, ...], place: str, index: int) -> Column:
    stripped = tuple(map(str.strip, cells))
    padded = stripped != cells and len(set(stripped)) < len(set(cells))
    return Column(name, stripped, lines, place, index, padded=padded)


def _lines(data: list[_Row], index: int) -> tuple[int, ...]:
    """The line in which each cell of a column begins: below its row's where a cell before it holds line ends."""
    return tuple(row.line + sum(cell.count("\n") for cell in row.cells[:index]) for row in data)


def _text(path: str, place: str) -> str:
    """The content of the file, if it is text; a byte-order mark is dropped."""
    with open_file(Path(path), MAX_CSV_BYTES) as (stream, _):
        content = stream.read(MAX_CSV_BYTES + 1)
    if content.startswith((b"PAR1", b"ARROW1")):
        raise DataError(f"{place}: is a Parquet or Arrow file; write data: {{name: parquet, ...}}")
    if not content:
        raise DataError(f"{place}: is empty; needed: a header and rows of data")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        offset = error.start
        problem = f"byte {content[offset]:#04x} is not UTF-8; save the file as UTF-8"
    else:
        if "\0" not in text:
            return text
        offset = content.index(b"\0")
        problem = "there is a NUL; this is not a text file"
    line = content.count(b"\n", 0, offset) + 1
    column = offset - content.rfind(b"\n", 0, offset)  # a byte: cells cannot be told apart yet
    raise DataError(f"{place}:{line}:{column}: {problem}")


def _header(cells: list[str], place: str) -> list[str]:
    """The names of the columns."""
    names = [cell.strip() for cell in cells]
    for index, name in enumerate(names):
        if not name:
            raise DataError(f"{place}:1:{index + 1}: the column has no name; {_UNNAMED}")
        if name in names[:index]:
            raise DataError(
                f"{place}:1:{index + 1}: column '{one_line(name, 40)}' occurs twice (also column "
                f"{names.index(name) + 1}); rename one"
            )
    if pair := alike(names):
        index = names.index(pair[1])
        raise DataError(
            f"{place}:1:{index + 1}: column '{one_line(pair[1], 40)}' looks like column {names.index(pair[0]) + 1} "
            f"and differs from it: it contains {oddity(pair[1])}"
        )
    return names
