"""A piece of what a trained model is to predict for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from nnrun.data._unused import KnownColumns
from nnrun.preprocessing import Preprocessing

__all__ = ["NO_EXTRAS", "Extras", "Inputs", "rows_of_piece"]

_BATCH = 256  # a piece is a multiple of it: the last bits of a prediction may depend on the batch it is in
_CELLS = 1 << 19  # of a piece, or numbers that they become


class Extras(NamedTuple):
    """What is wanted beside the inputs.

    keep      columns of a table to carry along
    targets   whether the true values are there, too
    target    the name of their column, or of their array; of several targets TARGET=COLUMN; (): as in training
    expected  the columns that each model knows, to tell which ones of a table are not used; (): nobody asks
    """

    keep: Sequence[str] = ()
    targets: bool = False
    target: Sequence[str] = ()
    expected: Sequence[KnownColumns | None] = ()


NO_EXTRAS = Extras()


class Inputs(NamedTuple):
    """A piece of what to predict for.

    x        (n, *shape) as the training data are stored
    names    of each input where it has one, else []
    kept     columns of a table that are carried along: name and cells (n,)
    targets  (n,) int32 labels or float64 numbers, of several targets (n, k), where they are asked for
    """

    x: np.ndarray
    names: list[str]
    kept: Sequence[tuple[str, Sequence[str]]]
    targets: np.ndarray | None = None


def rows_of_piece(columns: int, fitted: Preprocessing) -> int:
    """How many inputs a piece has."""
    size = max(columns, int(np.prod(fitted.shape)))
    return max(1, _CELLS // size // _BATCH) * _BATCH
