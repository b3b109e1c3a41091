"""Inputs as an exported model takes them, and a check of what it gives.  Needs NumPy alone."""

from __future__ import annotations

import re
import warnings
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from typing import Any

import numpy as np

__all__ = ["finite", "prepare"]

_MISSING = frozenset(
    ["", "na", "n/a", "n.a.", "#n/a", "<na>", "nan", "null", "nil", "missing", "?", "-", "--"]
)

_ISO = re.compile(r"\d{4}-\d{2}-\d{2}([ T]\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:?\d{2})?)?")

_Entry = Mapping[str, Any]  # a column as model.json describes it, and all of that file


def prepare(x: Any, about: _Entry) -> np.ndarray:
    """(n, *shape) in the type that the model takes.

    x       an array (n, *shape) as the training data hold them, or columns by name: {"age": [...]}, a DataFrame
    about   the content of model.json
    Raises ValueError for what the model was not trained on.
    """
    names = list(x) if isinstance(x, Mapping) else list(getattr(x, "columns", ()))
    if names:
        x = _features(x, names, about["columns"])
        if "beside" in about:
            _warn_of_unused(names, {column["name"] for column in about["columns"]}, about["beside"])
    elif any(column["categories"] is not None or len(column) > 2 for column in about["columns"]):
        raise ValueError("some features are not plain numbers; give columns by name, such as a DataFrame")
    x = np.asarray(x)
    shape = tuple(about["shape"])
    if not x.ndim or x.shape[1:] != shape or not len(x):
        raise ValueError(f"inputs have shape {x.shape}, the model takes (n, {', '.join(map(str, shape))})")
    if x.dtype.kind not in "fiub" or not np.isfinite(x).all():
        raise ValueError("inputs must be finite numbers")
    if about["dtype"] == "uint8":
        if not ((x >= 0) & (x <= 255) & (x == np.floor(x))).all():
            raise ValueError("inputs must be whole numbers from 0 to 255")
        return x.astype(np.uint8)
    least, most = about.get("range", (-np.inf, np.inf))
    if x.min() < least or x.max() > most:
        raise ValueError(
            f"inputs must be numbers from {least:g} to {most:g}; divide values of 16 bits by 65535"
        )
    precision = about["precision"]
    if about["dtype"] == "float32":
        precision, offset = "float32", 0.0
    else:  # in float64 until the mean is subtracted: 2024.5 and 2024.6 are close to each other in float32
        offset = np.array(about["offset"])
    with np.errstate(over="ignore"):
        return finite((x.astype(np.float64) - offset).astype(precision), f"too large for {precision}")


def finite(values: np.ndarray, what: str) -> np.ndarray:
    """The same values.  Raises ValueError naming the first input (n, ...) of which one is NaN or infinite."""
    bad = np.flatnonzero(~np.isfinite(values).reshape(len(values), -1).all(1))
    if len(bad):
        raise ValueError(f"the input at index {bad[0]} is {what}; correct it or leave it out")
    return values


def _features(table: Any, names: Sequence[object], columns: list[_Entry]) -> np.ndarray:
    """(n, inputs) float64: numbers, parts of dates, and an input of 0 or 1 for each category."""
    parts: list[np.ndarray] = []
    if missing := [column["name"] for column in columns if column["name"] not in names]:
        shown = ", ".join(map(repr, missing))
        raise ValueError(f"there is no column {shown}; there are {', '.join(map(str, names))}")
    for column in columns:
        name = column["name"]
        cells = list(table[name])
        if parts and len(cells) != len(parts[0]):
            raise ValueError(f"column {name!r}: has {len(cells)} cells, those before it {len(parts[0])}")
        absent = np.array([_is_missing(cell, column.get("marks", ())) for cell in cells], bool)
        if column.get("fill") is None and absent.any():
            raise ValueError(f"column {name!r}: the input at index {absent.argmax()} is missing; fill it in")
        if column["categories"] is not None:
            parts.append(_one_hot(cells, absent, column))
        else:
            parts.append(_numbers(cells, absent, column))
        if column.get("indicator"):
            parts.append(absent[:, None].astype(np.float64))
    if not parts:
        raise ValueError("the model was trained on inputs without names; give an array")
    return np.hstack(parts)


def _warn_of_unused(names: Sequence[object], features: Collection[str], beside: Sequence[str]) -> None:
    """Warns of columns that are no inputs, and which the run did not know; `beside`: names and patterns of others."""
    unused = [
        name
        for name in map(str, names)
        if name not in features and not any(name == known or fnmatchcase(name, known) for known in beside)
    ]
    if unused:
        warnings.warn(f"columns that are not used: {', '.join(map(repr, unused))}", stacklevel=4)


def _is_missing(cell: object, marks: Sequence[str]) -> bool:
    """Whether a cell holds no value, as nnrun reads tables; `marks`: further cells that say so."""
    if cell is None or type(cell).__name__ in ("NaTType", "NAType") or cell != cell:
        return True
    text = str(cell).strip()
    if (isinstance(cell, str) and text.lower() in _MISSING) or text in marks:
        return True
    return bool(marks) and _as_number(text) in {_as_number(mark) for mark in marks} - {None}


def _as_number(text: str) -> float | None:
    try:
        return None if "_" in text else float(text)
    except ValueError:
        return None


def _one_hot(cells: list[object], absent: np.ndarray, column: _Entry) -> np.ndarray:
    """(n, k): 1 at the category, or at the last input for rare names; zeros for unknown ones if so trained."""
    name, known, rare = column["name"], column["categories"], column.get("rare", [])
    unknown, fill = column.get("unknown", "refuse"), column.get("fill")
    size = len(known) + bool(rare)
    inputs, new = np.zeros((len(cells), size)), []
    for row, cell in enumerate(cells):
        text = fill if absent[row] and fill is not None else str(cell).strip()
        if text in known:
            inputs[row, known.index(text)] = 1
        elif text in rare:
            inputs[row, size - 1] = 1
        elif unknown == "refuse":
            raise ValueError(f"column {name!r}: {text!r} is none of {', '.join([*known, *rare])}")
        else:
            new.append(text)
            inputs[row, size - 1 :] = float(unknown == "other" and bool(rare))
    if new:
        meaning = "rare ones" if unknown == "other" and rare else "zeros"
        warnings.warn(
            f"column {name!r}: unknown names in cells: {len(new)}, the first {new[0]!r}; they count as {meaning}",
            stacklevel=4,
        )
    return inputs


def _numbers(cells: list[object], absent: np.ndarray, column: _Entry) -> np.ndarray:
    """(n, 1) numbers, or the inputs of dates."""
    name, date, fill = column["name"], column.get("date"), column.get("fill", np.nan)
    if date is None:
        values = [fill if gone else _number(cell, name) for cell, gone in zip(cells, absent, strict=True)]
        return np.array(values, np.float64)[:, None]
    origin = _days(date["origin"], None, name)
    days = [
        fill + origin if gone else _days(cell, date["format"], name)
        for cell, gone in zip(cells, absent, strict=True)
    ]
    return _date_inputs(np.array(days, np.float64), date["parts"], origin)


def _number(cell: Any, name: str) -> float:
    """The number in a cell; 1_000 and True are Python, not numbers."""
    is_text = isinstance(cell, str) and cell.isascii() and "_" not in cell
    try:
        if is_text or (not isinstance(cell, str) and np.asarray(cell).dtype.kind in "fiuO"):
            return float(cell)
    except (TypeError, ValueError):
        pass
    raise ValueError(f"column {name!r}: {cell!r} is not a number such as 1.5; correct it or leave it out")


def _days(cell: object, form: str | None, name: str) -> float:
    """Days since 1970-01-01 in UTC."""
    if isinstance(cell, datetime):
        moment = cell
    else:
        text = str(cell).strip()
        try:
            if form is None and not _ISO.fullmatch(text):
                raise ValueError(text)
            moment = datetime.fromisoformat(text) if form is None else datetime.strptime(text, form)
        except ValueError:
            wanted = "ISO 8601 (2024-01-31)" if form is None else form
            raise ValueError(f"column {name!r}: {text!r} is not a date as {wanted}; correct it") from None
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(days=1)


def _date_inputs(days: np.ndarray, parts: list[str], origin: float) -> np.ndarray:
    """(n, inputs): days since the origin; of weekday, month and hour sine and cosine."""
    inputs, whole = [], np.floor(days)
    months = whole.astype(np.int64).astype("datetime64[D]").astype("datetime64[M]").astype(np.int64)
    shares = {"weekday": (whole + 3) % 7 / 7, "month": months % 12 / 12, "hour": days - whole}
    for part in parts:
        if part == "days":
            inputs.append(days - origin)
        else:
            inputs += [np.sin(2 * np.pi * shares[part]), np.cos(2 * np.pi * shares[part])]
    return np.stack(inputs, axis=1)
