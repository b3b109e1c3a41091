"""Random inputs like those that a model was trained on."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from nnrun.preprocessing import FittedColumn, Preprocessing

__all__ = ["as_file", "example_of", "probes"]


def probes(fitted: Preprocessing, count: int, ends: tuple[float, float] | None = None) -> Any:
    """`count` inputs with the mean and deviation of the training part: an array or, of a table, columns by name.

    ends   the least and the most that inputs can be, where there are any
    """
    random = np.random.default_rng(0)
    x = fitted.shift + fitted.scale * random.normal(size=(count, *fitted.shape))
    if fitted.dtype == "uint8":
        return np.clip(np.rint(x), 0, 255).astype(np.uint8)
    if not fitted.columns:
        return (x if ends is None else np.clip(x, *ends)).astype(fitted.dtype)
    columns, position = {}, 0
    for column in fitted.columns:
        columns[column.name] = _cells(column, x[:, position], random)
        position += column.width
    return columns


def _cells(column: FittedColumn, numbers: np.ndarray, random: np.random.Generator) -> list[object]:
    """Cells of a column, of every sort that it takes: missing ones, rare and unknown names among them."""
    count = len(numbers)
    if column.categories is not None:
        unknown = ["an unknown name"] if column.unknown != "refuse" else []
        names = [name for name in (*column.categories, *column.rare, *unknown) if name]
        cells: list[object] = random.choice(names, count).tolist()
    elif column.date is not None:
        origin = datetime.fromisoformat(column.date.origin)
        days = random.uniform(0, 1000, count)
        if "hour" not in column.date.parts:
            days = np.floor(days)
        moments = [origin + timedelta(days=float(day)) for day in days]
        form = column.date.format
        cells = [moment.strftime(form) if form else moment.isoformat() for moment in moments]
    else:
        cells = numbers.tolist()
    if column.fill is None:
        return cells
    return [
        None if missing else cell for cell, missing in zip(cells, random.random(count) < 0.1, strict=True)
    ]


def example_of(fitted: Preprocessing) -> dict[str, list[object]]:
    """One input of a table, columns by name, as JSON can hold it: means, the first name, the first date."""
    columns: dict[str, list[object]] = {}
    position = 0
    for column in fitted.columns:
        columns[column.name] = [_typical(column, float(fitted.shift.reshape(-1)[position]))]
        position += column.width
    return columns


def _typical(column: FittedColumn, mean: float) -> object:
    if column.categories is not None:
        return next(
            filter(None, (*column.categories, *column.rare)), None
        )  # a column may be missing cells alone
    if column.date is None:
        return float(f"{mean:.3e}")  # four digits
    origin, form = datetime.fromisoformat(column.date.origin), column.date.format
    return origin.strftime(form) if form else column.date.origin


def as_file(inputs: Any, folder: Path) -> str:
    """Writes inputs as probes.json or probes.npz; returns which."""
    if isinstance(inputs, dict):
        (folder / "probes.json").write_text(json.dumps(inputs), encoding="utf-8")
        return "json"
    np.savez(folder / "probes.npz", x=inputs)
    return "npz"
