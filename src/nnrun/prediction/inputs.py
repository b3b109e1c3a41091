"""New inputs as the data of every member hold them: folds of a cross-validation read a table each in its own way."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from nnrun.data._files import STDIN
from nnrun.data._inputs import inputs_of
from nnrun.data._new_images import check_range, range_of
from nnrun.data._piece import Extras, Inputs
from nnrun.data._pieces import input_pieces
from nnrun.data._unused import KnownColumns, expected_of
from nnrun.errors import SpecError, Warn
from nnrun.prediction.models import SharedModel
from nnrun.preprocessing import FittedColumn

__all__ = ["arrays_for", "each_once", "ends_of", "expected_by", "pieces_for"]


def ends_of(model: SharedModel) -> tuple[float, float] | None:
    """The least and the most that inputs of a model can be, where its data say so."""
    return range_of(model.block)


def arrays_for(models: Sequence[SharedModel], x: object, warn: Warn) -> list[np.ndarray]:
    """Inputs in memory as the data of each model hold them."""
    readers, which = _readers(models)
    once = each_once(warn)
    expected = [expected_by(model) for model in models]
    stored = [inputs_of(x, model.experiment.dataset.fitted, once, expected) for model in readers]
    for model, array in zip(readers, stored, strict=True):
        check_range(array, model.block, "the inputs")
    return [stored[reader] for reader in which]


def pieces_for(
    models: Sequence[SharedModel],
    source: Path,
    warn: Warn,
    extras: Extras = Extras(),  # noqa: B008 - never changed
) -> Iterator[tuple[Inputs, list[np.ndarray]]]:
    """The inputs in a file, piece by piece: as the first model has them, and x as the data of each model hold it.

    Raises SpecError where standard input would have to be read more than once, and what `input_pieces` raises.
    """
    readers, which = _readers(models)
    if len(readers) > 1 and source == STDIN:
        raise SpecError(
            "-: standard input can be read once, and the folds have different columns; write it to a file"
        )
    once, extras = each_once(warn), extras._replace(expected=[expected_by(model) for model in models])
    pieces = [input_pieces(source, m.block, m.experiment.dataset.fitted, once, extras) for m in readers]
    for aligned in _aligned(pieces):
        yield aligned[0], [aligned[reader].x for reader in which]


def expected_by(model: SharedModel) -> KnownColumns | None:
    """The columns of new inputs that a model knows; None where it leaves out all others on purpose."""
    return expected_of(model.block, model.experiment.dataset.fitted)


def _readers(models: Sequence[SharedModel]) -> tuple[list[SharedModel], list[int]]:
    """Those models whose data have different columns, and for each model which of these reads for it."""
    places: dict[tuple[FittedColumn, ...], int] = {}
    which = [places.setdefault(model.experiment.dataset.fitted.columns, len(places)) for model in models]
    return [models[which.index(place)] for place in range(len(places))], which


def each_once(warn: Warn) -> Warn:
    """Passes each warning on once: readers of one file, and folds, find the same."""
    given: set[str] = set()

    def first(message: str) -> None:
        if message not in given:
            given.add(message)
            warn(message)

    return first


def _aligned(readers: Sequence[Iterator[Inputs]]) -> Iterator[list[Inputs]]:
    """Pieces of the same rows: how many rows a piece has depends on how many inputs they become."""
    held = [next(reader, None) for reader in readers]
    while all(piece is not None for piece in held):
        pieces = [piece for piece in held if piece is not None]
        count = min(len(piece.x) for piece in pieces)
        yield [_rows(piece, slice(0, count)) for piece in pieces]
        held = [
            _rows(piece, slice(count, None)) if len(piece.x) > count else next(reader, None)
            for piece, reader in zip(pieces, readers, strict=True)
        ]


def _rows(piece: Inputs, rows: slice) -> Inputs:
    """Some rows of a piece."""
    if rows.start == 0 and rows.stop == len(piece.x):
        return piece
    targets = None if piece.targets is None else piece.targets[rows]
    kept = [(name, cells[rows]) for name, cells in piece.kept]
    return Inputs(piece.x[rows], piece.names[rows], kept, targets)
