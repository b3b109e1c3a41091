"""Inputs without targets, as a trained model wants them: from an .npz, a table, or a folder of images."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from nnrun.data._files import open_file
from nnrun.data._images import Form, decode, only_errors
from nnrun.data._npy import open_npz, read_member
from nnrun.data._table import read_table
from nnrun.data.csv import features_of
from nnrun.errors import DataError, one_line
from nnrun.preprocessing import Preprocessing

__all__ = ["Inputs", "read_inputs"]

_ZIP = b"PK"


class Inputs(NamedTuple):
    """What to predict for.

    x      (n, *shape) as the training data are stored
    names  of each input where it has one, else []
    """

    x: np.ndarray
    names: list[str]


def read_inputs(path: Path, block: Mapping[str, Any], fitted: Preprocessing) -> Inputs:
    """The inputs in a file or folder; what kind of file it is, its content tells.

    block    name and options of the data block that the model was trained with
    fitted   to the training data: names, shape and type of inputs; where they are floats, those of a file are float64
    Raises DataError naming what differs.
    """
    names: list[str] = []
    shape, dtype = fitted.shape, np.dtype(fitted.dtype)
    if path.is_dir():
        x, names = _images(path, block, shape)
    else:
        with open_file(path) as (stream, _):
            zipped = stream.read(2) == _ZIP
        x = _archive(path, block, dtype) if zipped else _table(path, block, fitted)
    if x.shape[1:] != shape:
        raise DataError(
            f"{one_line(path)}: an input has shape {x.shape[1:]}, the model was trained on {shape}"
        )
    if not len(x):
        raise DataError(f"{one_line(path)}: holds no inputs")
    if x.dtype.kind == "f" and not np.isfinite(x).all():
        bad = tuple(map(int, np.argwhere(~np.isfinite(x))[0]))
        raise DataError(f"{one_line(path)}: the input at index {bad} is NaN or infinite; replace it")
    return Inputs(_stored(x, dtype, one_line(path)), names)


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


def _archive(path: Path, block: Mapping[str, Any], dtype: np.dtype) -> np.ndarray:
    name = block.get("x", "x") if block["name"] == "npz" else "x"
    with open_npz(path) as archive:
        x = read_member(archive, name, path)
    if dtype.kind == "f" and x.dtype.kind in "fiu":
        return np.ascontiguousarray(x, np.float32 if x.dtype == np.float32 else np.float64)
    return x


def _table(path: Path, block: Mapping[str, Any], fitted: Preprocessing) -> np.ndarray:
    """The columns that the model was trained on, by name; where those had no names, all columns in order."""
    table = read_table(str(path), str(block.get("delimiter", ",")) if fitted.columns else ",")
    if fitted.columns:
        return features_of(table, fitted.columns)
    width = int(np.prod(fitted.shape))
    if len(table.columns) != width:
        raise DataError(
            f"{one_line(path)}: has {len(table.columns)} columns, the model takes {width} inputs; leave the others out"
        )
    columns = [column.numbers() for column in table.columns.values()]
    return np.stack(columns, axis=1).reshape(-1, *fitted.shape)


def _images(path: Path, block: Mapping[str, Any], shape: tuple[int, ...]) -> tuple[np.ndarray, list[str]]:
    """All images below a folder, sorted by path."""
    if block["name"] != "image_folder":
        raise DataError(
            f"{one_line(path)}: is a folder, and the model was not trained on images in folders; give an .npz"
        )
    size = block["size"]
    form = Form(block["channels"], (size[0], size[1]) if size else None, block["resize"])
    files = sorted(
        (Path(folder) / name).relative_to(path).as_posix()
        for folder, _, names in os.walk(path)
        for name in names
        if not name.startswith(".")
    )
    if not files:
        raise DataError(f"{one_line(path)}: holds no images")
    images = []
    with only_errors():
        for name in files:
            image = decode(path / name, form)
            if image.shape != shape:
                raise DataError(
                    f"{one_line(path / name)}: has shape {image.shape}, the model was trained on {shape}; bring it "
                    "to that size"
                )
            images.append(image)
    return np.stack(images), files
