"""Tables in Parquet and Arrow files."""

from __future__ import annotations

from typing import Literal

from nnrun.data._arrow import read_arrow
from nnrun.data._faults import each_of
from nnrun.data._fit_columns import Missing
from nnrun.data._request import Cells, MissingMarks, RowColumns, request_of
from nnrun.data._tabular import source_of
from nnrun.options import AtLeastZero, DatePart, FilePath, Standardize
from nnrun.types import Source

__all__ = ["parquet"]


def parquet(
    path: FilePath,
    target: str | list[str],
    features: list[str] | None = None,
    categorical: list[str] | None = None,
    task: Literal["auto", "classification", "regression"] = "auto",
    test_path: FilePath | None = None,
    standardize: Standardize = "feature",
    exclude: list[str] | None = None,
    missing: Missing | dict[str, Missing] = "refuse",
    missing_indicator: bool = False,
    missing_marks: MissingMarks | dict[str, MissingMarks] | None = None,
    unknown: Literal["refuse", "zeros", "other"] = "refuse",
    rare: AtLeastZero = 0,
    dates: dict[str, DatePart | list[DatePart]] | None = None,
    date_format: str | None = None,
    weights: str | None = None,
    split_by: str | None = None,
    time: str | None = None,
    classifies: bool | None = None,
    binary: bool = False,
) -> Source:
    """A table in a Parquet or Arrow (Feather) file: as `csv`, read by pyarrow.

    path         at most 256 MiB
    target       the column to predict, or a list: several numbers, or labels for loss: binary_cross_entropy
    features     the columns to predict it from; default: all others
    categorical  features that are names, not numbers
    task         "auto", "classification" or "regression"
    test_path    a file with the test part and the same columns; default: a test part is cut from `path`
    standardize  "feature": each input its own mean and deviation
    exclude      columns that are left out
    missing      what stands for null, and for what a CSV file calls missing
    missing_indicator  one more input for each feature with missing cells
    missing_marks  further cells that say so, such as `["-999", unknown]`, or by column: `{age: [-999]}`
    unknown      names that the training part lacks
    rare         names with fewer training examples than this share one input
    dates        what dates become: `{signup: [days, weekday]}`
    date_format  of dates that are text; default: ISO 8601, which dates of the file itself are
    weights      a column of numbers: how much a row counts in the loss that is minimised
    split_by     a column: rows with the same cell stay in one part of the data
    time         a column of numbers or dates: the last rows are the test part
    classifies   whether the loss that the spec names wants labels; nnrun fills it in
    binary       whether it wants several labels; nnrun fills it in

    Needs pyarrow: pip install 'nnrun[parquet]'.  Raises DataError naming FILE:ROW:COLUMN, rows counted from 1.
    """
    cells = Cells(missing, missing_indicator, unknown, rare, missing_marks)
    rows = RowColumns(weights, split_by, time)
    request = request_of(target, features, exclude, categorical, dates, date_format, cells, rows)
    tables = each_of([file for file in (path, test_path) if file is not None], read_arrow)
    return source_of(tables, request, task, standardize, classifies, binary)
