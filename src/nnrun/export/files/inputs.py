"""Inputs as an exported model takes them, and a check of what it gives.  Needs NumPy alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

__all__ = ["finite", "prepare"]


def prepare(x: Any, about: Mapping[str, Any]) -> np.ndarray:
    """(n, *shape) in the type that the model takes.

    x       an array (n, *shape) as the training data hold them, or columns by name: {"age": [...]}, a DataFrame
    about   the content of model.json
    Raises ValueError for what the model was not trained on.
    """
    names = list(x) if isinstance(x, Mapping) else list(getattr(x, "columns", ()))
    if names:
        x = _features(x, names, about["columns"])
    elif any(column["categories"] is not None for column in about["columns"]):
        raise ValueError("some features are categories; give columns by name, such as a DataFrame")
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


def _features(table: Any, names: list[Any], columns: list[dict[str, Any]]) -> np.ndarray:
    """(n, inputs) float64: numbers, and an input of 0 or 1 for each category."""
    parts = []
    for column in columns:
        name, known = column["name"], column["categories"]
        if name not in names:
            raise ValueError(f"there is no column {name!r}; there are {', '.join(map(str, names))}")
        cells = list(table[name])
        if known is None:
            parts.append(np.array(cells, np.float64)[:, None])
            continue
        texts = [str(cell).strip() for cell in cells]
        if unknown := next((text for text in texts if text not in known), None):
            raise ValueError(f"column {name!r}: {unknown!r} is none of {', '.join(known)}")
        parts.append((np.array(texts)[:, None] == np.array(known)[None]).astype(np.float64))
    if not parts:
        raise ValueError("the model was trained on inputs without names; give an array")
    return np.hstack(parts)
