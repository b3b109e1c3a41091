"""What a spec says of the columns of a table: the options of the loaders of tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from nnrun.data._fit_columns import Missing
from nnrun.data._targets import as_targets
from nnrun.options import DatePart

__all__ = ["Cells", "MissingMarks", "RowColumns", "TableRequest", "request_of"]


MissingMarks = list[str | float]  # cells that say that there is no value


class Cells(NamedTuple):
    """What stands for missing cells and for unknown and rare names: options of the loaders of tables.

    missing_marks   further cells that count as missing, of all columns or by name and pattern
    """

    missing: Missing | Mapping[str, Missing]
    missing_indicator: bool
    unknown: str
    rare: int
    missing_marks: MissingMarks | Mapping[str, MissingMarks] | None


class RowColumns(NamedTuple):
    """Columns that are about rows: how much each counts, and what splits them.  Options of the loaders of tables."""

    weights: str | None
    split_by: str | None
    time: str | None


class TableRequest(NamedTuple):
    """What a spec says of the columns of a table: options of the loaders of tables."""

    targets: tuple[str, ...]  # several of a regression, or one
    features: list[str] | None
    exclude: list[str]
    categorical: list[str]
    dates: Mapping[str, DatePart | list[DatePart]]
    date_format: str | None
    cells: Cells
    rows: RowColumns


def request_of(
    target: str | list[str],
    features: list[str] | None,
    exclude: list[str] | None,
    categorical: list[str] | None,
    dates: Mapping[str, DatePart | list[DatePart]] | None,
    date_format: str | None,
    cells: Cells,
    rows: RowColumns,
) -> TableRequest:
    """The request that these options of a loader are."""
    targets = as_targets(target)
    return TableRequest(
        targets, features, exclude or [], categorical or [], dates or {}, date_format, cells, rows
    )
