"""The inputs of a row of a table as the cells that they were made of."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import numpy as np

from nnrun.preprocessing import Date, FittedColumn
from nnrun.report.summary import number

__all__ = ["cells_of"]


def cells_of(columns: Sequence[FittedColumn], inputs: np.ndarray) -> dict[str, str]:
    """Feature -> its cell, from the inputs (d,) of one row before they are standardised.

    A missing cell with an indicator is empty; one that was filled without an indicator shows what it was filled with.
    """
    cells, first = {}, 0
    for column in columns:
        values = inputs[first : first + column.width]
        first += column.width
        missing = column.indicator and values[-1] > 0.5
        cells[column.name] = "" if missing else _cell(column, values)
    return cells


def _cell(column: FittedColumn, values: np.ndarray) -> str:
    if column.date is not None:
        return _date(column.date, values)
    if column.categories is None:
        return number(float(values[0]))
    names = [*column.categories, *(["(rare)"] if column.rare else [])]
    chosen = np.flatnonzero(values[: len(names)] > 0.5)
    return names[chosen[0]] if len(chosen) else "(unknown)"


def _date(date: Date, values: np.ndarray) -> str:
    """The day, where the inputs have it."""
    if "days" not in date.parts:
        return "(parts of a date)"
    place = sum(1 if part == "days" else 2 for part in date.parts[: date.parts.index("days")])
    day = datetime.fromisoformat(date.origin) + timedelta(days=float(values[place]))
    return day.isoformat(sep=" ", timespec="minutes").removesuffix(" 00:00")
