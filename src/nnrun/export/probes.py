"""Random inputs like those that a model was trained on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from nnrun.preprocessing import Preprocessing

__all__ = ["as_file", "probes"]


def probes(fitted: Preprocessing, count: int) -> Any:
    """`count` inputs with the mean and deviation of the training part: an array or, of a table, columns by name."""
    random = np.random.default_rng(0)
    x = fitted.shift + fitted.scale * random.normal(size=(count, *fitted.shape))
    if fitted.dtype == "uint8":
        return np.clip(np.rint(x), 0, 255).astype(np.uint8)
    if not fitted.columns:
        return x.astype(fitted.dtype)
    columns, position = {}, 0
    for column in fitted.columns:
        known = column.categories
        columns[column.name] = (
            x[:, position].tolist() if known is None else random.choice(known, count).tolist()
        )
        position += column.width
    return columns


def as_file(inputs: Any, folder: Path) -> str:
    """Writes inputs as probes.json or probes.npz; returns which."""
    if isinstance(inputs, dict):
        (folder / "probes.json").write_text(json.dumps(inputs))
        return "json"
    np.savez(folder / "probes.npz", x=inputs)
    return "npz"
