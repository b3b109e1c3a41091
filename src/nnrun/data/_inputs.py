"""Inputs without targets, as a trained model wants them: from an .npz, a table, or a folder of images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from nnrun.data._arrow import is_arrow, read_arrow
from nnrun.data._column import Table
from nnrun.data._columns import table_of
from nnrun.data._encode import features_of
from nnrun.data._files import open_file
from nnrun.data._image_tree import find_images
from nnrun.data._images import Form, decode, is_image, only_errors
from nnrun.data._npy import open_npz, read_member
from nnrun.data._table import read_numbers, read_table
from nnrun.errors import DataError, SpecError, Warn, one_line
from nnrun.preprocessing import Column, Preprocessing

__all__ = ["Inputs", "as_trained", "inputs_of", "read_inputs"]

Block = Mapping[str, Any]  # name and options of a data block: what YAML can hold

_ZIP = b"PK"


class Inputs(NamedTuple):
    """What to predict for.

    x      (n, *shape) as the training data are stored
    names  of each input where it has one, else []
    kept   columns of a table that are carried along: name and cells (n,)
    """

    x: np.ndarray
    names: list[str]
    kept: list[tuple[str, Sequence[str]]]


def read_inputs(
    path: Path, block: Block, fitted: Preprocessing, warn: Warn, keep: Sequence[str] = ()
) -> Inputs:
    """The inputs in a file or folder; the kind of a file is found from its content.

    block    name and options of the data block that the model was trained with
    fitted   to the training data: names, shape and type of inputs; where they are floats, those of a file are float64
    warn     receives a line for what is left out
    keep     columns of a table to carry along
    Raises DataError naming what differs, SpecError for columns to keep of what is no table.
    """
    inputs = _read(path, block, fitted, warn, keep)
    if keep and not inputs.kept:
        raise SpecError(f"--keep {one_line(keep[0], 40)}: {one_line(path)} is no table; leave it out")
    return inputs._replace(x=as_trained(inputs.x, fitted, one_line(path)))


def inputs_of(content: object, fitted: Preprocessing, warn: Warn | None = None) -> np.ndarray:
    """Inputs that are in memory as (n, *shape): an array or, of a table, columns by name.

    content   (n, *shape), or {name: cells (n,)}, or what has `columns` and gives each by its name, as a DataFrame
    warn      receives a line for each column with names that the training part lacked
    Raises DataError naming what differs.
    """
    names = content if isinstance(content, Mapping) else getattr(content, "columns", None)
    place = "the inputs"
    if names is not None:
        if not fitted.columns:
            raise DataError(
                f"{place}: have names, and the model was trained on inputs without; give an array"
            )
        return as_trained(_named_inputs(content, [*names], fitted, place, warn), fitted, place)
    if any(column != Column(column.name) for column in fitted.columns):
        raise DataError(
            f"{place}: some features are not plain numbers; give columns by name, such as a DataFrame"
        )
    try:
        x = np.asarray(content)
    except ValueError:
        raise DataError(f"{place}: are not of one length; give an array (n, {_sizes(fitted)})") from None
    if x.dtype.kind not in "fiub":
        raise DataError(f"{place}: of type {x.dtype}; give numbers")
    if fitted.dtype != "uint8" and x.dtype.kind in "iub":
        x = x.astype(np.float64)
    return as_trained(x, fitted, place)


def _named_inputs(
    content: Any, names: list[object], fitted: Preprocessing, place: str, warn: Warn | None
) -> np.ndarray:
    """The features (n, inputs) among these columns; what else there is may be of any form."""
    wanted = [column.name for column in fitted.columns]
    by_text: dict[str, list[object]] = {}
    for name in names:
        by_text.setdefault(str(name), []).append(name)
    for name in wanted:
        if len(by_text.get(name, [])) != 1:
            problem = "are several columns" if name in by_text else "is no column"
            present = one_line(", ".join(by_text), 120) or "none"
            raise DataError(f"{place}: there {problem} '{one_line(name, 40)}'; there are {present}")
    table = table_of({name: content[by_text[name][0]] for name in wanted}, place)
    return features_of(table, fitted.columns, warn)


def _sizes(fitted: Preprocessing) -> str:
    return ", ".join(map(str, fitted.shape))


def as_trained(x: np.ndarray, fitted: Preprocessing, place: str) -> np.ndarray:
    """Inputs (n, *shape) in the type of the training data.  Raises DataError naming `place` where they differ."""
    if x.shape[1:] != fitted.shape or not x.ndim:
        raise DataError(f"{place}: an input has shape {x.shape[1:]}, the model was trained on {fitted.shape}")
    if not len(x):
        raise DataError(f"{place}: holds no inputs")
    if x.dtype.kind == "f" and not np.isfinite(x).all():
        bad = tuple(map(int, np.argwhere(~np.isfinite(x))[0]))
        raise DataError(f"{place}: the input at index {bad} is NaN or infinite; replace it")
    return _stored(x, np.dtype(fitted.dtype), place)


def _read(path: Path, block: Block, fitted: Preprocessing, warn: Warn, keep: Sequence[str]) -> Inputs:
    if path.is_dir():
        _check_images(block, f"{one_line(path)}: is a folder")
        return _images(path, _files(path, warn), block, fitted.shape)
    with open_file(path) as (stream, _):
        zipped = stream.read(2) == _ZIP
    if zipped:
        return Inputs(_archive(path, block, np.dtype(fitted.dtype)), [], [])
    if is_image(path):
        _check_images(block, f"{one_line(path)}: is an image")
        return _images(path.parent, [path.name], block, fitted.shape)
    return _table(path, block, fitted, warn, keep)


def _stored(x: np.ndarray, dtype: np.dtype, place: str) -> np.ndarray:
    """In the type of the training inputs, if nothing is lost."""
    if x.dtype == dtype or (x.dtype.kind == dtype.kind == "f"):
        return x
    if dtype == np.uint8 and x.dtype.kind in "iuf" and ((x >= 0) & (x <= 255) & (x == np.floor(x))).all():
        return x.astype(np.uint8)
    kind = "whole numbers from 0 to 255" if dtype == np.uint8 else "numbers"
    raise DataError(
        f"{place}: inputs of type {x.dtype} that are not all {kind}, which the model was trained on"
    )


def _archive(path: Path, block: Block, dtype: np.dtype) -> np.ndarray:
    name = block.get("x", "x") if block["name"] == "npz" else "x"
    with open_npz(path) as archive:
        x = read_member(archive, name, path)
    if dtype.kind == "f" and x.dtype.kind in "fiu":
        return np.ascontiguousarray(x, np.float32 if x.dtype == np.float32 else np.float64)
    return x


def _table(path: Path, block: Block, fitted: Preprocessing, warn: Warn, keep: Sequence[str]) -> Inputs:
    """The columns that the model was trained on, by name; where those had no names, all columns in order."""
    if fitted.columns:
        table = _named_table(path, block)
        return Inputs(features_of(table, fitted.columns, warn), [], _kept(table, keep))
    table = read_arrow(str(path), trained=True) if is_arrow(path) else read_numbers(str(path), ",")
    width = int(np.prod(fitted.shape))
    kept, columns = _kept(table, keep), list(table.columns.values())
    if len(columns) != width:
        columns = [column for column in columns if column.name not in keep]
    if len(columns) != width:
        raise DataError(
            f"{one_line(path)}: has {len(columns)} columns, the model takes {width} inputs; leave the others out"
            + (", or carry them along with --keep" if len(columns) > width else "")
        )
    x = np.stack([column.numbers() for column in columns], axis=1)
    return Inputs(x.reshape(-1, *fitted.shape), [], kept)


def _named_table(path: Path, block: Block) -> Table:
    """A table with names, in the dialect that the run was trained with if it is text."""
    if is_arrow(path):
        return read_arrow(str(path), trained=True)
    delimiter, decimal = str(block.get("delimiter", ",")), str(block.get("decimal", "."))
    return read_table(str(path), delimiter, trained=True, decimal=decimal)


def _kept(table: Table, keep: Sequence[str]) -> list[tuple[str, Sequence[str]]]:
    for name in keep:
        if name not in table.columns:
            raise DataError(
                f"{table.place}:1: --keep: there is no column '{one_line(name, 40)}'; there are "
                f"{one_line(', '.join(table.columns), 120)}"
            )
    return [(name, table.columns[name].cells) for name in dict.fromkeys(keep)]


def _check_images(block: Block, what: str) -> None:
    if block["name"] != "image_folder":
        raise DataError(f"{what}, and the model was not trained on images in folders; give an .npz")


def _files(folder: Path, warn: Warn) -> list[str]:
    """The images below a folder, sorted by path."""
    files = find_images(folder, is_image)
    if not files.images:
        raise DataError(f"{one_line(folder)}: holds no images")
    if files.beside:
        names = one_line(", ".join(files.beside), 80)
        warn(f"{one_line(folder)}: left out, for they are no images: {names}")
    return files.images


def _images(folder: Path, files: list[str], block: Block, shape: tuple[int, ...]) -> Inputs:
    """Images as training makes them, each with its path in the folder."""
    size = block["size"]
    form = Form(block["channels"], (size[0], size[1]) if size else None, block["resize"])
    images = []
    with only_errors():
        for name in files:
            image = decode(folder / name, form)
            if image.shape != shape:
                raise DataError(
                    f"{one_line(folder / name)}: has shape {image.shape}, the model was trained on {shape}; bring it "
                    "to that size"
                )
            images.append(image)
    return Inputs(np.stack(images), files, [])
