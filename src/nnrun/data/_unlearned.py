"""Features of a table that vary, but not where the model learns."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nnrun.amounts import figure
from nnrun.errors import one_line
from nnrun.preprocessing import About, FittedColumn

__all__ = ["with_unlearned"]


def with_unlearned(
    about: Sequence[About], columns: Sequence[FittedColumn], x: np.ndarray
) -> tuple[About, ...]:
    """The columns of a table in words, with a note on each of which the training part does not say everything.

    columns   the features that the inputs are made of
    x         (n, inputs), of the training part
    """
    least, most = x.min(0), x.max(0)
    notes, start = {}, 0
    for column in columns:
        inputs = slice(start, start + column.width)
        if note := _note(column, least[inputs], most[inputs]):
            notes[column.name] = note
        start = inputs.stop
    return tuple(
        words._replace(note="; ".join(filter(None, [words.note, notes[words.name]])))
        if words.role == "feature" and words.name in notes and words.kind != "constant"
        else words
        for words in about
    )


def _note(column: FittedColumn, least: np.ndarray, most: np.ndarray) -> str:
    """What is not learned, from the least and the most of each input; "" where everything may be."""
    if column.categories is None:
        values = slice(0, column.width - column.indicator)
        same = (least[values] == most[values]).all()
        value = f" ({figure(least[0], 6)})" if column.date is None else ""
        return f"the same{value} in the whole training part, so nothing is learned of it" if same else ""
    names = [*column.categories, *([] if not column.rare else ["rare names"])]
    absent = [name or "missing" for name, top in zip(names, most, strict=False) if top == 0]
    always = [name or "missing" for name, low in zip(names, least, strict=False) if low == 1]
    if always:
        return f"always {one_line(always[0], 40)} in the training part, so nothing is learned of it"
    shown = one_line(", ".join(absent), 60)
    return f"not in the training part, so nothing is learned of: {shown}" if absent else ""
