"""The inputs of a row of a table as the cells that they were made of."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import numpy as np

from nnrun.preprocessing import Date, FittedColumn
from nnrun.report.values import number

__all__ = ["cells_of"]


_ROUNDED = (
    2.0**-23
)  # of a number that is kept as a float32: by how much it may differ from the one in the file


def cells_of(
    columns: Sequence[FittedColumn], stored: np.ndarray, offset: np.ndarray | float = 0.0
) -> dict[str, str]:
    """Feature -> its cell, from the inputs (d,) of one row before they are standardised.

    stored   (d,) the inputs less their offsets, rounded to float32
    offset   (d,) or one for all
    A missing cell with an indicator is empty.  Without one it cannot be told from a cell that holds what it was filled
    with: `55 (or missing)`.
    """
    exact = stored.astype(np.float64)
    inputs, rounding = exact + offset, np.abs(exact) * _ROUNDED
    cells, first = {}, 0
    for column in columns:
        place = slice(first, first + column.width)
        first += column.width
        missing = column.indicator and inputs[place][-1] > 0.5
        cell = _cell(column, inputs[place], rounding[place])
        known = column.indicator or not _is_fill(column, inputs[place], rounding[place])
        cells[column.name] = "" if missing else cell if known else f"{cell} (or missing)"
    return cells


def _is_fill(column: FittedColumn, values: np.ndarray, rounding: np.ndarray) -> bool:
    """Whether inputs are those that a missing cell becomes; a category of missing cells is that and no other."""
    if column.fill is None or column.date is not None:
        return False
    if column.categories is None:
        return abs(float(values[0]) - float(column.fill)) <= rounding[0] + abs(float(column.fill)) * _ROUNDED
    names = column.categories
    return column.fill != "" and column.fill in names and bool(values[names.index(str(column.fill))] > 0.5)


def _cell(column: FittedColumn, values: np.ndarray, rounding: np.ndarray) -> str:
    if column.date is not None:
        return _date(column.date, values, rounding)
    if column.categories is None:
        value = float(values[0])
        return number(
            value if abs(value) > rounding[0] else 0.0
        )  # a 0 in the file, not what rounding left of it
    names = [*column.categories, *(["(rare)"] if column.rare else [])]
    chosen = np.flatnonzero(values[: len(names)] > 0.5)
    return names[chosen[0]] if len(chosen) else "(unknown)"


def _date(date: Date, values: np.ndarray, rounding: np.ndarray) -> str:
    """The day, where the inputs have it, and the minute, where rounding does not explain it."""
    if "days" not in date.parts:
        return "(parts of a date)"
    place = sum(1 if part == "days" else 2 for part in date.parts[: date.parts.index("days")])
    origin = datetime.fromisoformat(date.origin)
    moment = origin + timedelta(days=float(values[place]), seconds=30)  # nearest minute
    midnight = (moment + timedelta(hours=12)).replace(hour=0, minute=0, second=0, microsecond=0)
    if abs((midnight - origin) / timedelta(days=1) - float(values[place])) <= rounding[place]:
        moment = midnight
    return moment.isoformat(sep=" ", timespec="minutes").removesuffix(" 00:00")
