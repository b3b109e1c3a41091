"""New inputs in a file, a folder or a stream, as a trained model takes them: piece by piece, whatever their size."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nnrun.data._arrow import arrow_pieces, is_arrow
from nnrun.data._column import Column, Table
from nnrun.data._encode import UnknownNames, features_of
from nnrun.data._files import STDIN, open_file, open_text
from nnrun.data._image_pieces import image_files, saved_set_images
from nnrun.data._images import is_image
from nnrun.data._inputs import as_trained
from nnrun.data._labelled import array_of_targets, check_columns, labels_of_archive, names_of_targets
from nnrun.data._lines import NO_TABLE, check_stdin
from nnrun.data._new_images import check_range, reads_images
from nnrun.data._npy import open_npz, read_member
from nnrun.data._piece import NO_EXTRAS, Extras, Inputs, rows_of_piece
from nnrun.data._saved_set import is_saved_set, saved_pieces
from nnrun.data._table import Dialect, number_pieces, table_pieces
from nnrun.data._targets import targets_in
from nnrun.data._unused import warn_of_unused
from nnrun.errors import DataError, SpecError, Warn, one_line
from nnrun.preprocessing import Preprocessing

__all__ = ["input_pieces", "rows_in"]

Block = Mapping[str, Any]  # name and options of a data block: what YAML can hold

_ZIP = b"PK"


def input_pieces(
    path: Path, block: Block, fitted: Preprocessing, warn: Warn, extras: Extras = NO_EXTRAS
) -> Iterator[Inputs]:
    """The inputs in a file, a folder, or `-`: a CSV file on standard input.  The kind is found from the content.

    block    name and options of the data block that the model was trained with
    fitted   to the training data: names, shape and type of inputs; where they are floats, those of a file are float64
    warn     receives a line for what is left out
    A piece has 256 inputs or a multiple, but for the last.  Raises DataError naming what differs, SpecError for what is
    asked of something that is no table.
    """
    place = "stdin" if path == STDIN else one_line(path)
    kind = _kind(path, block, fitted)
    if extras.keep and kind not in ("table", "saved images"):
        raise SpecError(f"--keep {one_line(extras.keep[0], 40)}: {place} is no table; leave it out")
    if extras.target and kind == "images":
        raise SpecError(f"--target: the folders of {place} say what each image is; leave it out")
    read = {"images": image_files, "saved images": saved_set_images, "archive": _archive, "table": _table}[
        kind
    ]
    for inputs in read(path, place, block, fitted, warn, extras):
        x = as_trained(inputs.x, fitted, place)
        check_range(x, block, place)
        yield inputs._replace(x=x)


def rows_in(path: Path) -> int | None:
    """About how many rows a text file has, as far as its line ends tell; None where nobody can know before."""
    if path == STDIN or not path.is_file() or _begins(path, _ZIP) or is_arrow(path) or is_image(path):
        return None
    with open_text(path) as stream:
        return max(0, sum(block.count(b"\n") for block in iter(lambda: stream.read(1 << 20), b"")) - 1)


def _kind(path: Path, block: Block, fitted: Preprocessing) -> str:
    """images, saved images, archive or table."""
    if path == STDIN:
        return "table"
    images = reads_images(block, fitted)
    if is_saved_set(path):
        return "saved images" if images else "table"
    if path.is_dir() or (not _begins(path, _ZIP) and is_image(path)):
        if not images:
            what = "a folder" if path.is_dir() else "an image"
            remedy = "a table with its columns" if fitted.columns else f"an .npz, or {_takes(block, fitted)}"
            raise DataError(
                f"{one_line(path)}: is {what}, and the model was not trained on images in files; give {remedy}"
            )
        return "images"
    return "archive" if _begins(path, _ZIP) else "table"


def _takes(block: Block, fitted: Preprocessing) -> str:
    """What a run takes that was not trained on a table with names."""
    images = "images, or " if reads_images(block, fitted) else ""
    return f"{images}a table with {math.prod(fitted.shape)} numbers in a row, separated by ','"


def _begins(path: Path, mark: bytes) -> bool:
    with open_file(path) as (stream, _):
        return stream.read(len(mark)) == mark


def _archive(
    path: Path, place: str, block: Block, fitted: Preprocessing, warn: Warn, extras: Extras
) -> Iterator[Inputs]:
    del warn
    ours = block["name"] == "npz"
    targets = None
    with open_npz(path) as archive:
        if not any(name.endswith(".npy") for name in archive.namelist()):
            raise DataError(f"{place}: {NO_TABLE}")
        x = read_member(archive, block.get("x", "x") if ours else "x", path)
        if fitted.dtype != "uint8" and x.dtype.kind in "fiu":
            x = np.ascontiguousarray(x, np.float32 if x.dtype == np.float32 else np.float64)
        x = as_trained(x, fitted, place)
        if extras.targets:
            name = array_of_targets(extras.target, block.get("y", "y") if ours else "y")
            stored = read_member(archive, name, path, "write its name: --target NAME")
            targets = labels_of_archive(stored, len(x), fitted, f"{place}: array '{one_line(name)}'")
    step = rows_of_piece(1, fitted)
    for start in range(0, len(x), step):
        rows = slice(start, start + step)
        yield Inputs(x[rows], [], [], None if targets is None else targets[rows])


def _table(
    path: Path, place: str, block: Block, fitted: Preprocessing, warn: Warn, extras: Extras
) -> Iterator[Inputs]:
    """The columns that the model was trained on, by name; where those had no names, all columns in order."""
    unknown, names = UnknownNames(), ()
    features = [column.name for column in fitted.columns]
    for i, table in enumerate(_tables(path, place, block, fitted)):
        if extras.targets:
            names = names_of_targets(table, block.get("target"), extras.target, features, fitted.targets)
        if i == 0:
            check_columns(table, features, extras.keep, names)
            warn_of_unused(place, table.columns, extras.expected, [*extras.keep, *names], warn)
        kept = [(name, table.columns[name].cells) for name in dict.fromkeys(extras.keep)]
        problems: list[str] = []
        x, targets = np.zeros(0), None
        try:
            x = _inputs(table, fitted, extras, names, unknown)
        except DataError as error:
            problems.append(str(error))
        try:
            goals = [table.columns[name] for name in names]
            targets = targets_in(goals, fitted.classes, fitted.label_classes) if goals else None
        except DataError as error:
            problems.append(str(error))
        if problems:
            raise DataError("\n".join(problems))
        unknown.begin(len(x))
        yield Inputs(x, [], kept, targets)
    unknown.report(place, warn)


def _tables(path: Path, place: str, block: Block, fitted: Preprocessing) -> Iterator[Table]:
    """The rows of a table, in the dialect that the run was trained with if it is text."""

    def rows(columns: int) -> int:
        return rows_of_piece(columns, fitted)

    if path != STDIN and (path.is_dir() or is_arrow(path)):
        yield from saved_pieces(path, rows) if path.is_dir() else arrow_pieces(str(path), rows)
        return
    with open_text(path) as stream:
        if path == STDIN:
            check_stdin(stream)
        if not fitted.columns:
            yield from number_pieces(
                stream,
                Dialect(place, ",", trained=True, takes=f"the run takes {_takes(block, fitted)}"),
                rows,
            )
            return
        delimiter, decimal = str(block.get("delimiter", ",")), str(block.get("decimal", "."))
        dialect = Dialect(place, delimiter, decimal, trained=True, thousands=str(block.get("thousands", "")))
        yield from table_pieces(stream, dialect, rows)


def _inputs(
    table: Table, fitted: Preprocessing, extras: Extras, targets: Sequence[str], unknown: UnknownNames
) -> np.ndarray:
    """(n, *shape) float64."""
    if fitted.columns:
        return features_of(table, fitted.columns, unknown)
    width = int(np.prod(fitted.shape))
    columns: list[Column] = [column for column in table.columns.values() if column.name not in targets]
    if len(columns) != width:
        columns = [column for column in columns if column.name not in extras.keep]
    if len(columns) != width:
        raise DataError(
            f"{table.place}: has {len(columns)} columns, the model takes {width} inputs; leave the others out"
            + (", or carry them along with --keep" if len(columns) > width and not extras.targets else "")
        )
    return np.stack([column.numbers() for column in columns], axis=1).reshape(-1, *fitted.shape)
