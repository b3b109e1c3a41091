"""Reading a table of text cells from a CSV file, strictly, with the place of every cell."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import BinaryIO, NamedTuple

from nnrun.data._cells import alike, oddity
from nnrun.data._column import Column, Table, number
from nnrun.data._faults import each_of
from nnrun.data._files import open_file
from nnrun.data._lines import lines_of
from nnrun.errors import DataError, one_line

__all__ = ["Dialect", "number_pieces", "read_table", "read_tables", "table_pieces"]

MAX_CSV_BYTES = 256 << 20  # as Python strings this takes several GiB; larger tables belong in an .npz
_DELIMITERS = ";\t|,"
_UNNAMED = "the first row must hold names; if it counts the rows, remove the column (pandas: to_csv(..., index=False))"


def read_table(path: str, delimiter: str, decimal: str = ".", thousands: str = "") -> Table:
    """The CSV file `path`: UTF-8, a header of distinct names, and rows as long as it.

    Blank lines are skipped.  Raises DataError naming FILE:ROW:COLUMN of the first mistake.

    decimal     what numbers have before their fractions
    thousands   what they may have between their thousands
    """
    if thousands == decimal:
        raise DataError(
            f"{one_line(path)}: data.thousands: '{thousands}' stands before fractions too; write data.decimal: "
            f"'{'.' if decimal == ',' else ','}' beside it, or leave it out"
        )
    with open_file(Path(path), MAX_CSV_BYTES) as (stream, _):
        [table] = _tables(
            stream, Dialect(one_line(path), delimiter, decimal, thousands=thousands), _named, None
        )
    return table


def read_tables(
    paths: Iterable[str | None], delimiter: str, decimal: str = ".", thousands: str = ""
) -> list[Table]:
    """`read_table` of each path that there is.  Raises DataError with the first mistakes of each."""
    files = [path for path in paths if path]
    return each_of(files, lambda file: read_table(file, delimiter, decimal, thousands))


class Dialect(NamedTuple):
    """How a CSV file is written, and what messages call it.

    decimal   what numbers have before their fractions
    trained   whether a run has this dialect already, so that the file must follow
    thousands   what numbers may have between their thousands
    takes   what a run takes that was not trained on a table with names, as a clause
    """

    place: str
    delimiter: str
    decimal: str = "."
    trained: bool = False
    thousands: str = ""
    takes: str = ""


def table_pieces(stream: BinaryIO, dialect: Dialect, rows: Callable[[int], int]) -> Iterator[Table]:
    """The rows of a CSV file of any length as tables with its columns, one after another; else as `read_table`.

    rows   the number of columns -> how many rows a table has, but for the last
    """
    return _tables(stream, dialect, _named, rows)


def number_pieces(stream: BinaryIO, dialect: Dialect, rows: Callable[[int], int]) -> Iterator[Table]:
    """The rows of a table of numbers that may lack a header: then its columns are called 1, 2, ...

    Raises DataError as `read_table`, and where the first row may be either.
    """
    return _tables(stream, dialect, _perhaps_named, rows)


def _named(first: _Row, dialect: Dialect) -> list[str]:
    """The names in the first row."""
    _check_delimiter(first.cells, dialect)
    return _header(first.cells, dialect.place)


def _perhaps_named(first: _Row, dialect: Dialect) -> list[str] | None:
    """The names in the first row of a table of numbers; None where it holds numbers."""
    place = dialect.place
    cells = [cell.strip() for cell in first.cells]
    named = [number(cell) is None for cell in cells]
    if all(named):
        return _header(cells, place)
    where = f"{place}:{first.line}"
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
    return None


class _Row(NamedTuple):
    cells: list[str]
    line: int  # where it begins; a quoted cell may go over several


def _check_delimiter(header: list[str], dialect: Dialect) -> None:
    """Refuses a header that is one cell only because another character separates the names."""
    delimiter = dialect.delimiter
    if len(header) == 1:
        for separator in (
            character for character in _DELIMITERS if character in header[0] and delimiter not in header[0]
        ):
            remedy = (
                f"the run was trained with {delimiter!r}: save it so"
                if dialect.trained
                else f"write data.delimiter: {_written(separator)}"
            )
            raise DataError(f"{dialect.place}:1: the names are separated by {separator!r}; {remedy}")


def _written(separator: str) -> str:
    """A separator as YAML has it."""
    return {"\t": '"\\t"'}.get(separator, f'"{separator}"')


def _tables(
    stream: BinaryIO,
    dialect: Dialect,
    names: Callable[[_Row, Dialect], list[str] | None],
    size: Callable[[int], int] | None,
) -> Iterator[Table]:
    """The tables that the rows of a file are.

    names   the first row -> the names of the columns; None: it is a row of data
    size    the number of columns -> the rows of a table; None: all of them
    """
    rows = _rows(stream, dialect)
    first = next(rows, None)
    if first is None:
        raise DataError(f"{dialect.place}: holds 0 rows; needed: a header and at least one row of data")
    header = names(first, dialect)
    pending = [] if header else [first]
    header = header or [str(i) for i in range(1, len(first.cells) + 1)]
    most = size(len(header)) if size else None
    begun = False
    while data := [*pending, *islice(rows, None if most is None else most - len(pending))]:
        pending, begun = [], True
        yield _table(header, data, dialect)
    if not begun:
        raise DataError(f"{dialect.place}: holds 1 row; needed: a header and at least one row of data")


def _rows(stream: BinaryIO, dialect: Dialect) -> Iterator[_Row]:
    """The rows of a CSV file that are not blank; all of them have as many cells as the first."""
    place, delimiter = dialect.place, dialect.delimiter
    reader = csv.reader(lines_of(stream, place), delimiter=delimiter, strict=True)
    begin, width = 1, 0
    first: list[str] = []
    try:
        for cells in reader:
            if cells:
                width = width or len(cells)
                if len(cells) != width:
                    raise DataError(
                        f"{place}:{begin}:{min(len(cells), width) + 1}: the row has {len(cells)} "
                        f"cell{'s' * (len(cells) != 1)}, the header {width}; {_ragged(dialect, first, cells, reader)}"
                    )
                first = first or cells
                yield _Row(cells, begin)
            begin = reader.line_num + 1
    except csv.Error as error:
        raise DataError(
            f"{place}:{reader.line_num}: is not CSV: {one_line(error)}; correct the quotes"
        ) from error


def _ragged(dialect: Dialect, header: list[str], cells: list[str], rest: Iterable[list[str]]) -> str:
    """What to do about a row that is shorter or longer than the header, and how many more there are."""
    if dialect.trained:
        return f"{dialect.takes or f'cells are separated by {dialect.delimiter!r}, as in training'}; correct the row"
    for separator in _DELIMITERS:  # names that hold the delimiter themselves
        counts = {dialect.delimiter.join(row).count(separator) for row in (header, cells)}
        if separator != dialect.delimiter and len(counts) == 1 and 0 not in counts:
            return f"both are separated by {separator!r}: write data.delimiter: {_written(separator)}"
    more = sum(len(row) not in (0, len(header)) for row in rest)
    others = f"; so {'are' if more > 1 else 'is'} {more} more of its rows" if more else ""
    return f"check data.delimiter ({dialect.delimiter!r}), or correct the row{others}"


def _table(header: list[str], data: list[_Row], dialect: Dialect) -> Table:
    """The columns of rows of data under these names."""
    columns = zip(*(row.cells for row in data), strict=True)
    lines = tuple(row.line for row in data)
    folded = any("\n" in cell for row in data for cell in row.cells)
    return Table(
        dialect.place,
        {
            name: _column(name, cells, _lines_of(data, index - 1) if folded else lines, dialect, index)
            for index, (name, cells) in enumerate(zip(header, columns, strict=True), start=1)
        },
    )


def _column(
    name: str, cells: tuple[str, ...], lines: tuple[int, ...], dialect: Dialect, index: int
) -> Column:
    stripped = tuple(map(str.strip, cells))
    padded = stripped != cells and len(set(stripped)) < len(set(cells))
    numbers = dialect.decimal, dialect.trained, padded, dialect.thousands
    return Column(name, stripped, lines, dialect.place, index, *numbers)


def _lines_of(data: list[_Row], index: int) -> tuple[int, ...]:
    """The line in which each cell of a column begins: below its row's where a cell before it holds line ends."""
    return tuple(row.line + sum(cell.count("\n") for cell in row.cells[:index]) for row in data)


def _header(cells: list[str], place: str) -> list[str]:
    """The names of the columns.  Raises DataError with a line for each that cannot be one."""
    names, faults = [cell.strip() for cell in cells], []
    for index, name in enumerate(names):
        where = f"{place}:1:{index + 1}"
        if not name:
            faults.append(f"{where}: the column has no name; {_UNNAMED}")
        elif name in names[:index]:
            faults.append(
                f"{where}: column '{one_line(name, 40)}' occurs twice (also column {names.index(name) + 1}); rename one"
            )
    for plain, odd in alike(name for name in names if name):
        faults.append(
            f"{place}:1:{names.index(odd) + 1}: column '{one_line(odd, 40)}' looks like column "
            f"{names.index(plain) + 1} and differs from it: it contains {oddity(odd)}"
        )
    if faults:
        raise DataError("\n".join(faults))
    return names
