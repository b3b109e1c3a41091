"""What is fitted to training data, which predictions for new inputs need: names, statistics, and digests of the data.

A run folder records it, and predictions are made from that record, never from data that may have changed since.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np

from nnrun.errors import one_line

__all__ = ["PARTS", "Column", "Part", "Preprocessing", "Wanted", "change_of", "first_change"]

PARTS = ("train", "val", "test")


class Column(NamedTuple):
    """A feature of a table."""

    name: str
    categories: tuple[str, ...] | None = (
        None  # in order, one input of 0 or 1 for each; None: one input, a number
    )

    @property
    def width(self) -> int:
        """Inputs that the feature becomes."""
        return 1 if self.categories is None else len(self.categories)


class Part(NamedTuple):
    """What tells whether a part of the data is as it was."""

    examples: int
    sha256: str  # of type, shape and bytes of inputs and targets, before they are standardised
    chosen: str  # of positions in the source and of targets: equal ones mean the same examples


class Preprocessing(NamedTuple):
    """From what files hold to what a model takes, and back to the units of the target."""

    classes: tuple[str, ...]  # by label; () for a regression
    columns: tuple[Column, ...]  # of a table, in the order of the inputs; () where inputs have no names
    shape: tuple[int, ...]  # of one input
    dtype: str  # of inputs as the data hold them: uint8, float32 or float64
    shift: np.ndarray  # () or (*shape) float64, of the training part; an input is (x − shift) / scale
    scale: np.ndarray  # like shift, > 0
    target_shift: float  # a target is (value − target_shift) / target_scale
    target_scale: float
    parts: dict[str, Part]  # train, val, test

    @property
    def digest(self) -> str:
        """SHA-256 of the data: of all parts, and of the names in them."""
        names = [self.classes, [column[:] for column in self.columns]]
        content = [names, [self.parts[name][:2] for name in PARTS]]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()


class Wanted(NamedTuple):
    """What a run folder records, and of which parts of the data the content is needed as it was then."""

    fitted: Preprocessing
    parts: tuple[str, ...]  # of PARTS; (): the record is enough


class _Named(Protocol):
    """Data with the names in them: a source, or a record of one."""

    @property
    def classes(self) -> tuple[str, ...]: ...
    @property
    def columns(self) -> tuple[Column, ...]: ...


def first_change(today: Preprocessing, fitted: Preprocessing) -> str:
    """What differs between two records of data, "" if nothing does."""
    return next(filter(None, (change_of(name, today, today.parts[name], fitted) for name in PARTS)), "")


def change_of(name: str, today: _Named, part: Part, fitted: Preprocessing) -> str:
    """What differs from the record in a part of today's data, "" if nothing does."""
    before = fitted.parts[name]
    if today.classes != fitted.classes:
        return (
            f"the classes of its data have changed (from {_some(fitted.classes)} to {_some(today.classes)})"
        )
    if today.columns != fitted.columns:
        old, new = (dict(columns) for columns in (fitted.columns, today.columns))
        names = [column for column in {**old, **new} if old.get(column, ()) != new.get(column, ())]
        return f"the features of its data have changed ({_some(names or [*new])})"
    if part.examples != before.examples:
        return f"its {name} part has changed (from {before.examples} to {part.examples} examples)"
    return "" if part == before else f"its {name} part has changed"


def _some(names: Sequence[str]) -> str:
    return one_line(", ".join(names) or "numbers", 60)
