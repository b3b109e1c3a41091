"""The lines of trials.jsonl and final.jsonl, and the numbers in them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nnrun.errors import RunError, one_line
from nnrun.storage import fsio

__all__ = ["lines_of", "metrics_of", "number_of"]


def metrics_of(metrics: Mapping[str, Sequence[object]]) -> dict[str, tuple[float | None, ...]]:
    """Metric -> its value for each seed."""
    return {str(name): tuple(map(number_of, values)) for name, values in metrics.items()}


def number_of(value: object) -> float | None:
    """What is no finite number (a null, a written NaN) is None."""
    return float(value) if isinstance(value, int | float) and abs(value) < float("inf") else None


def lines_of(file: Path) -> list[Any]:
    """The records, JSON objects, of a file, [] if it does not exist; a last line without its newline is ignored."""
    if not file.exists():
        return []
    records = []
    for number, text in enumerate(fsio.read_file(file).split(b"\n")[:-1], start=1):
        try:
            record = json.loads(text)
        except (ValueError, RecursionError):
            record = None
        if not isinstance(record, dict):
            raise RunError(
                f"{one_line(file)}:{number}: damaged line; restore the file or run the sweep again"
            )
        records.append(record)
    return records
