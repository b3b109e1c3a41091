"""Tables in CSV files."""

from __future__ import annotations

from typing import Literal

from nnrun.data._fit_columns import Missing
from nnrun.data._request import Cells, MissingMarks, RowColumns, request_of
from nnrun.data._table import read_tables
from nnrun.data._tabular import source_of
from nnrun.options import AtLeastZero, DatePart, FilePath, Standardize
from nnrun.types import Source

__all__ = ["csv"]


def csv(
    path: FilePath,
    target: str | list[str],
    features: list[str] | None = None,
    categorical: list[str] | None = None,
    task: Literal["auto", "classification", "regression"] = "auto",
    delimiter: Literal[",", ";", "\t", "|", " "] = ",",
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
    decimal: Literal[".", ","] = ".",
    thousands: Literal["", ",", ".", " ", "'"] = "",
    weights: str | None = None,
    split_by: str | None = None,
    time: str | None = None,
    classifies: bool | None = None,
    binary: bool = False,
) -> Source:
    """A table in a CSV file with a header: any columns as inputs, one as the target.

    path         UTF-8, at most 256 MiB
    target       the column to predict, or a list: several numbers, or labels for loss: binary_cross_entropy
    features     the columns to predict it from; default: all others
    categorical  features that are names, not numbers: one input of 0 or 1 for each name, names sorted
    task         "auto": as the loss of the spec says, if it was written; else a target of numbers, with fractions or
                 more than 20 different ones, is regression.  "classification" takes every cell as a name
    delimiter    what separates the cells of a row
    test_path    a table with the test part and the same columns; default: a test part is cut from `path`
    standardize  "feature": each input its own mean and deviation
    exclude      columns that are left out
    missing      what stands for a cell that is empty or says NA, null, ? and the like, fitted to the training part; or
                 by feature: `{age: median, city: category}`; "category" is one more name
    missing_indicator  one more input for each feature with missing cells: 1 where the cell is missing
    missing_marks  further cells that say so, such as `["-999", unknown]`, or by column: `{age: [-999]}`
    unknown      names that the training part lacks: "refuse" knows all of `path`; "zeros" none; "other": as rare ones
    rare         names with fewer training examples than this share one input
    dates        what dates become: `{signup: [days, weekday]}`, days since the first; of others sine and cosine
    date_format  as strptime takes it: "%d.%m.%Y"; default: ISO 8601
    decimal      what numbers have before their fractions
    thousands    what they may have between their thousands, as 1.258,95 has
    weights      a column of numbers: how much a row counts in the loss that is minimised; metrics are unweighted
    split_by     a column, such as `patient`: rows with the same cell stay in one part of the data
    time         a column of numbers or dates: the last rows are the test part, those before them validate
    classifies, binary   whether the loss that the spec names wants labels, or several; nnrun fills them in

    Features may be patterns, such as `note_*`.  Class names are sorted, as numbers if they all are.  Identifiers, free
    text and dates are refused until the spec says what to do with them.  Raises DataError naming FILE:ROW:COLUMN.
    """
    cells = Cells(missing, missing_indicator, unknown, rare, missing_marks)
    rows = RowColumns(weights, split_by, time)
    request = request_of(target, features, exclude, categorical, dates, date_format, cells, rows)
    tables = read_tables((path, test_path), delimiter, decimal, thousands)
    return source_of(tables, request, task, standardize, classifies, binary)
