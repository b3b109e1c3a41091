"""Tables in Parquet and Arrow files (Feather), read by pyarrow."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

from nnrun.data._column import Table
from nnrun.data._columns import table_of
from nnrun.data._files import open_file
from nnrun.errors import DataError, one_line

__all__ = [
    "MAX_ARROW_BYTES",
    "Arrow",
    "arrow_pieces",
    "cells_of",
    "decoded",
    "is_arrow",
    "needed",
    "read_arrow",
]

MAX_ARROW_BYTES = 256 << 20
Arrow = Any  # an object or a module of pyarrow, which says nothing of its types

_PARQUET, _ARROW = b"PAR1", b"ARROW1"


def is_arrow(path: Path) -> bool:
    """Whether a file begins as Parquet or Arrow files do.  Raises DataError, MachineError."""
    with open_file(path) as (stream, _):
        return stream.read(len(_ARROW)).startswith((_PARQUET, _ARROW))


def read_arrow(path: str) -> Table:
    """The table in a Parquet or Arrow file; rows are counted from 1.

    Cells become text as a CSV file would have it: numbers with all their digits, dates as ISO 8601, null as nothing.
    Raises DataError, also where pyarrow is missing.
    """
    [table] = _tables(path, None)
    return Table(
        table.place, {name: column._replace(trained=False) for name, column in table.columns.items()}
    )


def arrow_pieces(path: str, rows: Callable[[int], int]) -> Iterator[Table]:
    """The same as tables with its columns, one after another, for a model that is trained already.

    rows   the number of columns -> how many rows a table has, but for the last
    """
    return _tables(path, rows)


def _tables(path: str, rows: Callable[[int], int] | None) -> Iterator[Table]:
    place = one_line(path)
    with open_file(Path(path), MAX_ARROW_BYTES) as (stream, _):
        content = stream.read(MAX_ARROW_BYTES + 1)
    table = _decoded(content, place)
    if not table.num_rows:
        raise DataError(f"{place}: holds 0 rows; needed: at least one row of data")
    names = table.column_names
    if twice := [name for name in names if names.count(name) > 1]:
        raise DataError(f"{place}: column '{one_line(twice[0], 40)}' occurs twice; rename one")
    most = rows(len(names)) if rows else table.num_rows
    for start in range(0, table.num_rows, most):
        piece = table.slice(start, most)
        yield table_of(
            {name: cells_of(piece.column(name), f"{place}: column '{one_line(name, 40)}'") for name in names},
            place,
            start + 1,
        )


def needed(place: str, *modules: str) -> list[Arrow]:
    """These modules of pyarrow, for reading `place`.  Raises DataError where it is not installed."""
    try:
        return [import_module(name) for name in ("pyarrow", *modules)]
    except ImportError:
        raise DataError(f"{place}: reading it needs pyarrow; pip install 'nnrun[parquet]'") from None


def _decoded(content: bytes, place: str) -> Arrow:
    """The pyarrow table in the bytes of a file."""
    pa, parquet, feather = needed(place, "pyarrow.parquet", "pyarrow.feather")
    if not content.startswith((_PARQUET, _ARROW)):
        raise DataError(
            f"{place}: is neither a Parquet nor an Arrow file; write data: {{name: csv}} for a CSV file"
        )
    read = parquet.read_table if content.startswith(_PARQUET) else feather.read_table
    return decoded(lambda: read(pa.BufferReader(content)), place)


def decoded(read: Callable[[], Arrow], place: str) -> Arrow:
    """What `read` gets from pyarrow.  Raises DataError naming `place` where it cannot."""
    pa = import_module("pyarrow")
    try:
        return read()
    except (pa.ArrowException, OSError) as error:
        if getattr(error, "errno", None) is not None:  # the machine's, which whoever opened the file reports
            raise
        raise DataError(f"{place}: cannot be decoded: {one_line(error, 120)}; write it again") from error


def cells_of(column: Arrow, place: str) -> list[object]:
    """The values of a column; moments in microseconds, which Python's have.

    place   of the column, for messages
    Raises DataError for moments that Python has none of, or of which most become one.
    """
    pa, kind = import_module("pyarrow"), column.type
    if pa.types.is_timestamp(kind):
        before = column
        column = column.cast(pa.timestamp("us", kind.tz), safe=False)
        before, after = (len(values.unique()) for values in (before, column))
        if before > 2 and 2 * after < before:
            raise DataError(
                f"{place}: its {before} different times are {after} in microseconds, in which they are read; save them "
                "as integers, counted from the first"
            )
    if pa.types.is_floating(kind) and kind.bit_width < 64:
        column = column.cast(pa.float64())
    try:
        return column.to_pylist()
    except (OverflowError, ValueError) as error:  # a year above 9999, or below 1
        raise DataError(
            f"{place}: holds a time that is none: {one_line(error, 80)}; write null in its place, or another number"
        ) from None
