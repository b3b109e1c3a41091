"""Targets of losses that take no number below 0, such as counts."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from nnrun.amounts import figure
from nnrun.data._absent import Absent
from nnrun.errors import DataError, one_line
from nnrun.types import Examples, Source

__all__ = ["check_counts", "refuse_negative"]


def check_counts(parts: Mapping[str, Examples], rows: Mapping[str, np.ndarray], source: Source) -> None:
    """Raises DataError with the place of a target below 0, and where all of the training part are 0.

    parts, rows   train, val and test, and which rows of the source they are
    """
    for name, part in parts.items():
        if isinstance(part.y, Absent) or not (part.y < 0).any():
            continue
        at, j = (int(place[0]) for place in np.nonzero(_columns(part.y) < 0))
        row = int(rows[name][at])
        held = name == "test" and source.test is not None
        place = source.table.place
        which = f"target '{one_line(source.targets[j], 40)}' of row" if source.targets else "target"
        where = f"data: {which} {row} of the source" if place is None else _at(place, held, row, j, source)
        raise DataError(f"{where}: {_problem(_columns(part.y)[at, j])}")
    y = parts["train"].y
    if isinstance(y, Absent):
        return
    if not (learned := _columns(y).any(0)).all():
        name = f" '{one_line(source.targets[learned.argmin()], 40)}'" if source.targets else ""
        raise DataError(f"data: every target{name} of the training part is 0, from which no rate is learned")


def _at(place: Callable[..., str], held: bool, row: int, j: int, source: Source) -> str:
    """Where the target j of a row lies; a source with one target need not be asked which."""
    return place(held, row, j) if source.targets else place(held, row)


def refuse_negative(targets: np.ndarray, place: str, before: int) -> None:
    """Raises DataError where a true value of new examples (n,) or (n, k) is below 0.

    before   how many examples came before these
    """
    if (targets < 0).any():
        at, j = (int(place[0]) for place in np.nonzero(_columns(targets) < 0))
        raise DataError(
            f"{place}: the true value of example {before + at + 1}: {_problem(_columns(targets)[at, j])}"
        )


def _columns(targets: np.ndarray) -> np.ndarray:
    """(n,) or (n, k) -> (n, k)."""
    return targets.reshape(len(targets), -1)


def _problem(value: float) -> str:
    return f"{figure(value, 6)} is no count, and the loss takes none below 0; correct it, or write loss: squared_error"
