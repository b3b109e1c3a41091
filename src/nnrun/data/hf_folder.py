"""Data sets of Hugging Face on disk."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Literal

from nnrun.data._fit_columns import Missing
from nnrun.data._kinds import in_number, quoted
from nnrun.data._roles import Cells, RowColumns, TableRequest
from nnrun.data._saved_set import SavedTable, read_saved
from nnrun.data._saved_splits import Parts, parts_of
from nnrun.data._tabular import source_of
from nnrun.data._targets import as_targets
from nnrun.errors import DataError, one_line
from nnrun.options import AtLeastZero, DatePart, FilePath, Standardize
from nnrun.types import Source

__all__ = ["hf_folder"]


def hf_folder(
    path: FilePath,
    target: str | list[str],
    splits: str | list[str] | None = None,
    test_split: str | None = None,
    features: list[str] | None = None,
    categorical: list[str] | None = None,
    task: Literal["auto", "classification", "regression"] = "auto",
    standardize: Standardize = "feature",
    exclude: list[str] | None = None,
    missing: Missing | dict[str, Missing] = "refuse",
    missing_indicator: bool = False,
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
    """A table that Hugging Face's datasets saved (save_to_disk): as `csv`, read by pyarrow.

    path         the folder; at most 256 MiB a split
    target       the column to predict, or a list: several numbers, or labels for loss: binary_cross_entropy
    splits       to train on, one or several, joined; the validation part is cut from them; default: `train`, or the
                 only one.  Others but the test part are left out where this is written, else refused
    test_split   the test part; default: `test`, else a test part is cut too
    features     the columns to predict it from; default: all others
    categorical  features that are names, not numbers; those of type ClassLabel are already
    task         "auto", "classification" or "regression"; a ClassLabel is a classification
    standardize  "feature": each input its own mean and deviation
    exclude      columns that are left out
    missing      what stands for null, for -1 of a ClassLabel, and for what a CSV file calls missing
    missing_indicator  one more input for each feature with missing cells
    unknown      names that the training part lacks
    rare         names with fewer training examples than this share one input
    dates        what dates become: `{signup: [days, weekday]}`
    date_format  of dates that are text; default: ISO 8601, which dates of the data set itself are
    weights      a column of numbers: how much a row counts in the loss that is minimised
    split_by     a column: rows with the same cell stay in one part of the data
    time         a column of numbers or dates: the last rows are the test part
    classifies   whether the loss that the spec names wants labels; nnrun fills it in
    binary       whether it wants several labels; nnrun fills it in

    Needs pyarrow: pip install 'nnrun[parquet]'.  Raises DataError naming FOLDER:ROW:COLUMN; rows of joined splits are
    counted on.
    """
    cells, rows = Cells(missing, missing_indicator, unknown, rare), RowColumns(weights, split_by, time)
    request = TableRequest(
        as_targets(target), features, exclude or [], categorical or [], dates or {}, date_format, cells, rows
    )
    parts = parts_of(Path(path), splits, test_split)
    return _source(parts, request, task, standardize, classifies, binary)


def _source(
    parts: Parts, request: TableRequest, task: str, standardize: str, classifies: bool | None, binary: bool
) -> Source:
    """What `source_of` makes of these parts, with what their features say: which columns are names of classes."""
    saved = [read_saved(folders, place) for place, folders in parts.folders.items()]
    for part in saved:
        _refuse_foreign(part, request)
        _refuse_unlabelled(part, request.targets)
        _refuse_equal(part, request.targets)
    first, targets = saved[0], request.targets
    apart = {*targets, *request.categorical, *request.dates, *filter(None, request.rows)}
    names = [name for name in first.table.columns if name in first.labels - apart and _is_used(name, request)]
    if task == "auto" and len(targets) == 1 and targets[0] in first.labels:
        task = "classification"
    request = request._replace(categorical=[*request.categorical, *names])
    tables = [part.table for part in saved]
    return source_of(tables, request, task, standardize, classifies, binary, parts.notes)


def _is_used(name: str, request: TableRequest) -> bool:
    """Whether a column would be a feature, as far as `features` and `exclude` tell."""
    if request.features is not None:
        return name in request.features
    return not any(pattern == name or fnmatchcase(name, pattern) for pattern in request.exclude)


def _refuse_foreign(part: SavedTable, request: TableRequest) -> None:
    """Refuses columns of images, lists or the like that would be inputs or targets."""
    used = [name for name in part.foreign if name in request.targets or _is_used(name, request)]
    if not used:
        return
    held = "; ".join(f"column '{one_line(name, 40)}' holds {part.foreign[name]}" for name in used)
    remedy = f"write data.exclude: [{one_line(', '.join(map(quoted, used)), 120)}]"
    if "images" in map(part.foreign.__getitem__, used):
        remedy += ", or save each image as a file in a folder of its class for data: {name: image_folder}"
    raise DataError(f"{part.table.place}: {held}, which are no cells of a table; {remedy}")


def _refuse_equal(part: SavedTable, targets: Sequence[str]) -> None:
    """Refuses names of a label that are one number, 1 and 01: numbers are classes however they are written."""
    for target in part.labels.intersection(targets):
        column = part.table.columns[target]
        if note := in_number(column, sorted({cell for cell in column.cells if cell})):
            raise DataError(
                f"{column.place}: column '{one_line(target, 40)}': {note[0]}, and would be one class; rename one "
                "(Dataset.cast_column)"
            )


def _refuse_unlabelled(part: SavedTable, targets: Sequence[str]) -> None:
    """Refuses rows whose label is -1 or null, as in the test splits of competitions."""
    for target in part.labels.intersection(targets):
        column = part.table.columns[target]
        absent = [row for row, cell in enumerate(column.cells) if not cell]
        if absent:
            raise DataError(
                f"{column.place}:{column.lines[absent[0]]}:{column.position}: column '{one_line(target, 40)}': "
                f"{len(absent)} of {len(column.cells)} rows have no label (-1 or null); remove them (Dataset.filter), "
                "or write splits that have labels"
            )
