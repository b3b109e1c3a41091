"""Targets of losses that take no number below 0, such as counts."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from nnrun.data._absent import Absent
from nnrun.errors import DataError
from nnrun.types import Examples, Source

__all__ = ["check_counts", "refuse_negative"]


def check_counts(parts: Mapping[str, Examples], rows: Mapping[str, np.ndarray], source: Source) -> None:
    """Raises DataError with the place of a target below 0, and where all of the training part are 0.

    parts, rows   train, val and test, and which rows of the source they are
    """
    for name, part in parts.items():
        if isinstance(part.y, Absent) or not (part.y < 0).any():
            continue
        at = int((part.y < 0).argmax())
        row = int(rows[name][at])
        held = name == "test" and source.test is not None
        place = source.table.place
        where = f"data: target {row} of the source" if place is None else place(held, row)
        raise DataError(f"{where}: {_problem(part.y[at])}")
    y = parts["train"].y
    if not isinstance(y, Absent) and not y.any():
        raise DataError("data: every target of the training part is 0, from which no rate is learned")


def refuse_negative(targets: np.ndarray, place: str, before: int) -> None:
    """Raises DataError where a true value of new examples (n,) is below 0.

    before   how many examples came before these
    """
    if (targets < 0).any():
        at = int((targets < 0).argmax())
        raise DataError(f"{place}: the true value of example {before + at + 1}: {_problem(targets[at])}")


def _problem(value: float) -> str:
    return f"{value:g} is no count, and the loss takes none below 0; correct it, or write loss: squared_error"
