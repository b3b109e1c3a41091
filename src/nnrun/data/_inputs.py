"""Inputs without targets that are in memory, as a trained model takes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from nnrun.data._columns import table_of
from nnrun.data._encode import UnknownNames, features_of
from nnrun.data._labelled import check_present
from nnrun.data._unused import KnownColumns, warn_of_unused
from nnrun.errors import DataError, Warn, one_line
from nnrun.preprocessing import FittedColumn, Preprocessing

__all__ = ["as_trained", "inputs_of"]


def inputs_of(
    content: object,
    fitted: Preprocessing,
    warn: Warn | None = None,
    expected: Sequence[KnownColumns | None] = (),
) -> np.ndarray:
    """Inputs that are in memory as (n, *shape): an array or, of a table, columns by name.

    content   (n, *shape), or {name: cells (n,)}, or what has `columns` and gives each by its name, as a DataFrame
    warn      receives a line for each column with names that the training part lacked, and one for those not used
    expected  the columns that each model knows, to tell which ones are not used; (): nobody asks
    Raises DataError naming what differs.
    """
    names = content if isinstance(content, Mapping) else getattr(content, "columns", None)
    place = "the inputs"
    if names is not None:
        if not fitted.columns:
            raise DataError(
                f"{place}: have names, and the model was trained on inputs without; give an array"
            )
        x = _named_inputs(content, [*names], fitted, place, warn)
        if warn is not None:
            warn_of_unused(place, map(str, names), expected, (), warn)
        return as_trained(x, fitted, place)
    if any(column != FittedColumn(column.name) for column in fitted.columns):
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
    check_present(place, wanted, by_text)
    if twice := [name for name in wanted if len(by_text[name]) > 1]:
        shown = one_line(", ".join(f"'{one_line(name, 40)}'" for name in twice), 200)
        raise DataError(f"{place}: there are several columns {shown}; keep one of each")
    table = table_of({name: content[by_text[name][0]] for name in wanted}, place)
    unknown = UnknownNames()
    x = features_of(table, fitted.columns, unknown)
    if warn is not None:
        unknown.begin(len(x))
        unknown.report(place, warn)
    return x


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
