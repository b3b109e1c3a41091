"""metrics.jsonl: one JSON object per logged step, appended as the run goes.

A number that JSON does not have is written as the string "NaN", "Infinity" or "-Infinity".  Floats are
written so that they read back to the same bits.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, SupportsFloat, SupportsIndex

from nnrun.errors import RunError, one_line
from nnrun.storage import fsio

if TYPE_CHECKING:
    import numpy as np

__all__ = ["columns", "is_whole", "line", "read"]

_LOOKED_AT = 1 << 15  # bytes of each end of a long file
_NOT_FINITE = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


def line(record: Mapping[str, SupportsFloat | SupportsIndex]) -> bytes:
    """A record as one line: a JSON object in the record's order, and a newline.

    Integers (Python's and numpy's) stay integers, everything else becomes a float.
    """
    return (
        json.dumps({name: _plain(value) for name, value in record.items()}, allow_nan=False).encode() + b"\n"
    )


def read(path: Path) -> list[dict[str, float]]:
    """The records of a file, [] if it does not exist yet.  A last line without its newline is ignored.

    Raises RunError with the line's number if another line is not an object of numbers.
    """
    if not path.exists():
        return []
    lines = fsio.read_file(path).split(b"\n")[:-1]  # what follows the last newline is a torn line, or nothing
    return [_parse(text, f"{one_line(path)}:{number}") for number, text in enumerate(lines, start=1)]


def is_whole(path: Path) -> bool:
    """Whether `read` can read a file that exists.  Faster than reading: a list of a thousand runs asks this.

    Of a long file the beginning and the end are looked at.
    """
    lines = _ends(path).split(b"\n")[:-1]
    try:
        records = json.loads(b"[" + b",".join(lines) + b"]", parse_constant=_refuse)
    except (ValueError, RecursionError):
        return False
    # A line with a comma between two objects would be one record too many.
    return len(records) == len(lines) and all(isinstance(record, dict) for record in records)


def _ends(path: Path) -> bytes:
    """The content of a file; of a long one whole lines from both ends."""
    with fsio.blame(path):
        if path.stat().st_size <= 2 * _LOOKED_AT:
            return fsio.read_file(path)
        with path.open("rb") as file:
            first = file.read(_LOOKED_AT)
            file.seek(-_LOOKED_AT, os.SEEK_END)
            last = file.read()
    return first[: first.rfind(b"\n") + 1] + last[last.find(b"\n") + 1 :]


def columns(records: Iterable[Mapping[str, float]]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Each metric over the steps that have it: name -> (steps (n,) int64, values (n,) float64).

    Records without a "step" are skipped; "step" is not a metric.
    """
    import numpy as np

    series: dict[str, tuple[list[float], list[float]]] = {}
    for record in records:
        if "step" not in record:
            continue
        for name, value in record.items():
            if name != "step":
                steps, values = series.setdefault(name, ([], []))
                steps.append(record["step"])
                values.append(value)
    return {
        name: (np.array(steps, np.int64), np.array(values, np.float64))
        for name, (steps, values) in series.items()
    }


def _plain(value: SupportsFloat | SupportsIndex) -> int | float | str:
    import numpy as np  # here, since a list of runs needs none of it

    if isinstance(value, (int, np.integer)):
        return int(value)
    number = float(value)
    if math.isfinite(number):
        return number
    return "NaN" if math.isnan(number) else "Infinity" if number > 0 else "-Infinity"


def _parse(text: bytes, place: str) -> dict[str, float]:
    try:
        record = json.loads(text, parse_constant=_refuse)
        if not isinstance(record, dict):
            raise ValueError("not an object")
        return {name: _number(value) for name, value in record.items()}
    except (ValueError, RecursionError):
        shown = one_line(text.decode(errors="replace"), 60)
        raise RunError(f"{place}: damaged line {shown!r}; it must be a JSON object of numbers") from None


def _number(value: object) -> int | float:
    if isinstance(value, str) and value in _NOT_FINITE:
        return _NOT_FINITE[value]
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError("not a number")
    return value


def _refuse(constant: str) -> float:
    raise ValueError(f"{constant} is not JSON")
