"""Data sets of Hugging Face on disk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from nnrun.data._fit_columns import Missing
from nnrun.data._image_modes import Alpha, Depth
from nnrun.data._imaged_table import image_column, source_of_images
from nnrun.data._images import Channels, ImageForm, Resize, Size, form_from
from nnrun.data._kinds import in_number
from nnrun.data._request import Cells, MissingMarks, RowColumns, TableRequest, request_of
from nnrun.data._saved_set import SavedTable, is_chosen, read_saved
from nnrun.data._saved_splits import Parts, parts_of
from nnrun.data._tabular import source_of
from nnrun.data._yaml_name import quoted
from nnrun.errors import DataError, one_line
from nnrun.options import AtLeastZero, DatePart, FilePath, Standardize
from nnrun.types import Source

__all__ = ["hf_folder"]

# Options that are about cells, and about images, as they are by default.
_CELLS = {
    "categorical": [],
    "dates": {},
    "missing": "refuse",
    "missing_indicator": False,
    "missing_marks": None,
    "unknown": "refuse",
    "rare": 0,
}
_IMAGES = ImageForm("rgb", None, "crop")._asdict()


def hf_folder(
    path: FilePath,
    target: str | list[str],
    splits: str | list[str] | None = None,
    test_split: str | None = None,
    features: list[str] | None = None,
    categorical: list[str] | None = None,
    task: Literal["auto", "classification", "regression"] = "auto",
    standardize: Standardize | None = None,
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
    size: Size | None = None,
    resize: Resize = "crop",
    channels: Channels = "rgb",
    alpha: Alpha = "refuse",
    depth: Depth = 8,
    classifies: bool | None = None,
    binary: bool = False,
) -> Source:
    """A table or images that Hugging Face's datasets saved (save_to_disk): as `csv`.

    path         the folder; at most 256 MiB a split, but for images
    target       the column to predict, or a list: several numbers, or labels for loss: binary_cross_entropy
    splits       to train on, joined; default: `train`, or the only one, and others are refused, not left out
    test_split   the test part; default: `test`, else a test part is cut too
    features     the columns to predict it from; default: all others.  One of type Image is the only one
    categorical  features that are names, not numbers; those of type ClassLabel are already
    task         "auto", "classification" or "regression"; a ClassLabel is a classification
    standardize  "feature": each input its own mean and deviation; "image": one for all pixels; default: what fits
    exclude      columns that are left out
    missing      what stands for null, for -1 of a ClassLabel, and for what a CSV file calls missing
    missing_indicator  one more input for each feature with missing cells
    missing_marks  further cells that say so, such as `["-999", unknown]`, or by column: `{age: [-999]}`
    unknown      names that the training part lacks
    rare         names with fewer training examples than this share one input
    dates        what dates become: `{signup: [days, weekday]}`
    date_format  of dates that are text; default: ISO 8601, which dates of the data set itself are
    weights      a column of numbers: how much a row counts in the loss that is minimised
    split_by     a column: rows with the same cell stay in one part of the data
    time         a column of numbers or dates: the last rows are the test part
    size, resize, channels, alpha, depth   of images: as those of `image_folder`
    classifies, binary   whether the loss that the spec names wants labels, or several; nnrun fills them in

    Images are read and kept decoded as by `image_folder`.  Needs pyarrow: pip install 'nnrun[parquet]'.  Raises
    DataError naming FOLDER:ROW:COLUMN; rows of joined splits are counted on.
    """
    cells = Cells(missing, missing_indicator, unknown, rare, missing_marks)
    rows = RowColumns(weights, split_by, time)
    request = request_of(target, features, exclude, categorical, dates, date_format, cells, rows)
    form, parts = form_from(channels, size, resize, alpha, depth), parts_of(Path(path), splits, test_split)
    return _source(parts, request, form, task, standardize, classifies, binary)


def _source(
    parts: Parts,
    request: TableRequest,
    form: ImageForm,
    task: str,
    standardize: str | None,
    classifies: bool | None,
    binary: bool,
) -> Source:
    """The source that images are, or else cells, of which those of a ClassLabel are names."""
    saved = [read_saved(folders, place) for place, folders in parts.folders.items()]
    column = image_column(saved[0], _features(saved[0], request))
    for part in saved:
        _refuse_foreign(part, request, column)
        _refuse_unlabelled(part, request.targets)
        _refuse_equal(part, request.targets)
    if task == "auto" and len(request.targets) == 1 and request.targets[0] in saved[0].labels:
        task = "classification"
    if column is not None:
        given = request._asdict() | request.cells._asdict()
        _refuse_given(
            saved[0], _CELLS, given, f"column '{one_line(column, 40)}' holds images, the only inputs"
        )
        kind = standardize or "image"
        return source_of_images(
            saved, parts.folders, column, request, form, task, kind, classifies, binary, parts.notes
        )
    _refuse_given(saved[0], _IMAGES, form._asdict(), "no feature holds images")
    names = [name for name in _features(saved[0], request) if name in saved[0].labels]
    names = [name for name in names if name not in (*request.categorical, *request.dates)]
    request = request._replace(categorical=[*request.categorical, *names])
    tables = [part.table for part in saved]
    return source_of(tables, request, task, standardize or "feature", classifies, binary, parts.notes)


def _refuse_given(
    part: SavedTable, plain: Mapping[str, object], given: Mapping[str, object], what: str
) -> None:
    """Refuses options that are not as by default, where nothing is there that they are about."""
    if names := [name for name, default in plain.items() if given[name] != default]:
        options = ", ".join(f"data.{name}" for name in names)
        raise DataError(
            f"{part.table.place}: {options}: {what}; leave {'it' if len(names) == 1 else 'them'} out"
        )


def _features(part: SavedTable, request: TableRequest) -> list[str]:
    """The columns that would be features, as far as `features` and `exclude` tell."""
    beside = {*request.targets, *filter(None, request.rows)} - {*request.dates}
    return [
        name
        for name in part.table.columns
        if name not in beside and is_chosen(name, request.features, request.exclude)
    ]


def _refuse_foreign(part: SavedTable, request: TableRequest, images: str | None) -> None:
    """Refuses columns of lists, sound or the like that would be inputs or targets, and images that would be targets.

    images   the column of the images that are the inputs
    """
    used = [
        name
        for name in part.foreign
        if name in request.targets or is_chosen(name, request.features, request.exclude)
    ]
    used = [name for name in used if name != images or name in request.targets]
    if not used:
        return
    held = "; ".join(f"column '{one_line(name, 40)}' holds {part.foreign[name]}" for name in used)
    left_out = [quoted(name) for name in used if name not in request.targets]
    remedies = ["another data.target"] if len(left_out) < len(used) else []
    remedies += [f"data.exclude: [{', '.join(left_out)}]"] if left_out else []
    remedy = f"write {' and '.join(remedies)}"
    raise DataError(f"{part.table.place}: {held}, which are no cells of a table; {remedy}")


def _refuse_equal(part: SavedTable, targets: Sequence[str]) -> None:
    """Refuses names of a label that are one number, 1 and 01: numbers are classes however they are written."""
    for target in part.labels.intersection(targets):
        column = part.table.columns[target]
        if note := in_number(column, sorted({cell for cell in column.cells if cell})):
            raise DataError(
                f"{column.place}: column '{one_line(target, 40)}': {note[0]}; a class is a number however it is "
                "written, so rename one (Dataset.cast_column)"
            )


def _refuse_unlabelled(part: SavedTable, targets: Sequence[str]) -> None:
    """Refuses rows whose label is -1 or null, as in the test splits of competitions."""
    for target in part.labels.intersection(targets):
        column = part.table.columns[target]
        absent = [row for row, cell in enumerate(column.cells) if not cell]
        if absent:
            have, them = ("has", "it") if len(absent) == 1 else ("have", "them")
            raise DataError(
                f"{column.place}:{column.lines[absent[0]]}:{column.position}: column '{one_line(target, 40)}': "
                f"{len(absent)} of {len(column.cells)} rows {have} no label (-1 or null); remove {them} "
                "(Dataset.filter), or write splits that have labels"
            )
