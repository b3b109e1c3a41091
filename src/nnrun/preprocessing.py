"""What is fitted to training data, which predictions for new inputs need: names, statistics, and digests of the data.

A run folder records it, and predictions are made from that record, never from data that may have changed since.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np

from nnrun.errors import one_line

__all__ = [
    "PARTS",
    "About",
    "Date",
    "FittedColumn",
    "Part",
    "Preprocessing",
    "TableFacts",
    "Wanted",
    "change_of",
    "first_change",
]  # fmt: skip

PARTS = ("train", "val", "test")


class Date(NamedTuple):
    """How the cells of a column of dates become inputs."""

    parts: tuple[str, ...]  # days since the origin; weekday, month, hour: sine and cosine, two inputs each
    origin: str  # ISO 8601: the earliest date of the training part
    format: str | None = None  # of the cells, as datetime.strptime takes it; None: ISO 8601


class FittedColumn(NamedTuple):
    """A feature of a table, fitted to the training part."""

    name: str
    categories: tuple[str, ...] | None = (
        None  # in order, one input of 0 or 1 for each; None: one input, a number
    )
    # What stands for a missing cell: a number (of dates: days since the origin) or one of the categories, of which ""
    # is that of missing cells; None: such a cell is refused.
    fill: float | str | None = None
    indicator: bool = False  # one more input: 1 where the cell is missing
    rare: tuple[str, ...] = ()  # names of too few training examples, which share one input, the last
    unknown: str = (
        "refuse"  # of names that the training part lacks: refuse, zeros, other (the input of rare ones)
    )
    date: Date | None = None
    marks: tuple[str, ...] = ()  # cells that count as missing, beside those that always do

    @property
    def width(self) -> int:
        """Inputs that the feature becomes."""
        if self.date is not None:
            width = sum(1 if part == "days" else 2 for part in self.date.parts)
        else:
            width = 1 if self.categories is None else len(self.categories) + bool(self.rare)
        return width + self.indicator

    def as_dict(self) -> dict[str, Any]:
        """The column as JSON can hold it, without what is as by default beside name and categories."""
        plain = FittedColumn(self.name)
        content: dict[str, Any] = {
            "name": self.name,
            "categories": None if self.categories is None else list(self.categories),
        }
        for key in ("fill", "indicator", "rare", "unknown", "marks"):
            value = getattr(self, key)
            if value != getattr(plain, key):
                content[key] = list(value) if isinstance(value, tuple) else value
        if self.date is not None:
            content["date"] = {**self.date._asdict(), "parts": list(self.date.parts)}
        return content


class About(NamedTuple):
    """A column of a table in words, for people."""

    name: str
    role: str  # feature, target, excluded, weights, group or time
    kind: str  # number, category, date, identifier, text, constant or empty
    why: str  # it is of this kind
    becomes: str = ""  # of a feature: its inputs, and what stands for missing and unknown cells
    note: str = ""  # what deserves a look


class TableFacts(NamedTuple):
    """What a source, such as a table, knows beside its inputs and targets.

    fit      (rows of its training part that are trained on, columns that a run has recorded or None) -> the source
             fitted to these rows; None: nothing in it depends on which they are
    weights  (n,) float64 ≥ 0, how much each row counts in what is minimised; None: all the same
    groups   (n,) integers: rows of equal ones stay in one part of the data; None: rows are alone
    times    (n,) float64: the parts follow one another in this order; None: they are drawn
    place    (whether it is in the test part of the source, row and, of several targets, which) -> where the target of a
             row lies, for messages
    notes    lines for people, shown before anything trains: what is left out, what deserves a look
    files    of the source's training part and, where it has one, of its test part: the file of each example, below the
             folder of the part; () where examples are no files
    """

    about: tuple[About, ...] = ()
    fit: Callable[[np.ndarray, tuple[FittedColumn, ...] | None], Any] | None = None
    weights: np.ndarray | None = None
    groups: np.ndarray | None = None
    times: np.ndarray | None = None
    place: Callable[..., str] | None = None
    notes: tuple[str, ...] = ()
    files: tuple[list[str], ...] = ()


class Part(NamedTuple):
    """What tells whether a part of the data is as it was."""

    examples: int
    sha256: str  # of type, shape and bytes of inputs and targets, before they are standardised
    chosen: str  # of positions in the source and of targets: equal ones mean the same examples


class Preprocessing(NamedTuple):
    """From what files hold to what a model takes, and back to the units of the target."""

    classes: tuple[str, ...]  # by label; () for a regression
    columns: tuple[FittedColumn, ...]  # of a table, in the order of the inputs; () where inputs have no names
    shape: tuple[int, ...]  # of one input
    dtype: str  # of inputs as the data hold them: uint8, float32 or float64
    shift: np.ndarray  # () or (*shape) float64, of the training part; an input is (x − shift) / scale
    scale: np.ndarray  # like shift, > 0
    # A target is (value − target_shift) / target_scale; of several each has its own, (k,) float64.
    target_shift: float | np.ndarray  # of counts 0
    target_scale: float | np.ndarray  # of counts their mean
    parts: dict[str, Part]  # train, val, test
    targets: tuple[str, ...] = ()  # names of several targets; () where there is one
    # Of several labels the classes of each target: that of 0, that of 1; () where targets are numbers.
    label_classes: tuple[tuple[str, str], ...] = ()

    @property
    def outputs(self) -> int:
        """How many numbers a model puts out for an example."""
        return len(self.classes) or len(self.targets) or 1

    def to_units(self, outputs: np.ndarray) -> np.ndarray:
        """Outputs (n, 1) of a model of numbers -> (n,) float64 in units of the target; of several (n, k) -> (n, k).

        Those of several labels are log-odds, and have no units.
        """
        z = np.asarray(outputs, np.float64)
        return (z if self.targets else z[:, 0]) * self.target_scale + self.target_shift

    def from_units(self, values: np.ndarray) -> np.ndarray:
        """Numbers (n,) or (n, k) in units of the target -> the same in float64 as a model of numbers gives them."""
        return (np.asarray(values, np.float64) - self.target_shift) / self.target_scale

    def has_units_of(self, fitted: Preprocessing) -> bool:
        """Whether outputs for both are in the same units."""
        pairs = (self.target_shift, fitted.target_shift), (self.target_scale, fitted.target_scale)
        return all(np.array_equal(ours, theirs) for ours, theirs in pairs)

    @property
    def digest(self) -> str:
        """SHA-256 of the data: of all parts, and of the names in them."""
        names = [self.classes, [_digested(column) for column in self.columns]]
        names += [self.targets] if self.targets else []  # digests of one target stay what they were
        names += [self.label_classes] if self.label_classes else []
        content = [names, [self.parts[name][:2] for name in PARTS]]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def _digested(column: FittedColumn) -> list[object]:
    """Name and categories and, of a column that has more, the rest: digests of before stay what they were."""
    content = column.as_dict()
    shared = [content.pop("name"), content.pop("categories")]
    return [*shared, content] if content else shared


class Wanted(NamedTuple):
    """What a run folder records, and of which parts of the data the content is needed as it was then."""

    fitted: Preprocessing
    parts: tuple[str, ...]  # of PARTS; (): the record is enough


class _Named(Protocol):
    """Data with the names in them: a source, or a record of one."""

    @property
    def classes(self) -> tuple[str, ...]: ...
    @property
    def columns(self) -> tuple[FittedColumn, ...]: ...
    @property
    def targets(self) -> tuple[str, ...]: ...
    @property
    def label_classes(self) -> tuple[tuple[str, str], ...]: ...


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
    if today.targets != fitted.targets:
        old, new = (_some(names) if names else "one" for names in (fitted.targets, today.targets))
        return f"the targets of its data have changed (from {old} to {new})"
    if today.label_classes != fitted.label_classes:
        old, new = (
            _some([f"{a}/{b}" for a, b in pairs]) for pairs in (fitted.label_classes, today.label_classes)
        )
        return f"the classes of its labels have changed (from {old} to {new})"
    if today.columns != fitted.columns:
        old, new = (
            {column.name: column for column in columns} for columns in (fitted.columns, today.columns)
        )
        names = [column for column in {**old, **new} if old.get(column) != new.get(column)]
        return f"the features of its data have changed ({_some(names or [*new])})"
    if part.examples != before.examples:
        return f"its {name} part has changed (from {before.examples} to {part.examples} examples)"
    return "" if part == before else f"its {name} part has changed"


def _some(names: Sequence[str]) -> str:
    return one_line(", ".join(names) or "numbers", 60)
