"""Columns that are in memory, as the table that a file of them would be."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

import numpy as np

from nnrun.data._column import Column, Table
from nnrun.errors import DataError, one_line

__all__ = ["table_of"]


def table_of(columns: Mapping[str, Iterable[object]], place: str, first: int = 1) -> Table:
    """A table of these columns; the first row has the number `first`.

    Numbers are written with all their digits, so that they are read back to the same bits; what is missing (None,
    NaN) is an empty cell.  Raises DataError where a column is no list of cells, or they are not of one length.
    """
    cells = {name: _cells(values, name, place) for name, values in columns.items()}
    lengths = {name: len(column) for name, column in cells.items()}
    if len(set(lengths.values())) > 1:
        shown = one_line(", ".join(f"{name} {length}" for name, length in lengths.items()), 120)
        raise DataError(f"{place}: columns of different lengths ({shown}); make them equal")
    lines = tuple(range(first, first + max(lengths.values(), default=0)))
    columns = {
        name: Column(name, column, lines, place, i, trained=True)
        for i, (name, column) in enumerate(cells.items(), 1)
    }
    return Table(place, columns)


def _cells(values: Iterable[object], name: str, place: str) -> tuple[str, ...]:
    shape = np.shape(values) if isinstance(values, np.ndarray) else getattr(values, "shape", None)
    if isinstance(values, str) or not isinstance(values, Iterable) or (shape is not None and len(shape) != 1):
        got = f"has shape {tuple(shape)}" if shape is not None else f"is {one_line(values, 40)}"
        raise DataError(f"{place}: column '{one_line(name, 40)}' {got}; give one value for each input")
    return tuple(map(_text, values))


def _text(value: object) -> str:
    if isinstance(value, np.datetime64):
        value = value.astype("datetime64[us]")  # of finer ones, Python has a number alone
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or type(value).__name__ == "NaTType" or (isinstance(value, float) and math.isnan(value)):
        return ""
    return repr(value) if isinstance(value, float) else str(value).strip()
