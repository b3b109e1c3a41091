"""How each class is predicted: a table, and which classes are taken for which."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypedDict

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from nnrun.report.summary import number

__all__ = ["ClassEntry", "PerClass", "per_class_of", "per_class_tables"]

_MATRIX = 20  # classes of which the whole matrix is shown
_LISTED = 20  # of the most frequent confusions where there are more


class ClassEntry(TypedDict):
    """One class: None where a share has no denominator."""

    name: str
    examples: int
    predicted: int
    right: int
    precision: float | None
    recall: float | None
    f1: float | None


class PerClass(TypedDict):
    """How each class is predicted in a part of the data.

    confusion   row: what an example is; column: what it is predicted to be; in the order of the classes
    """

    classes: list[ClassEntry]
    confusion: list[list[int]]


def per_class_of(names: Sequence[str], confusion: Sequence[Sequence[int]]) -> PerClass:
    """The table of the classes from counts: row: what an example is, column: what it is predicted to be."""
    classes: list[ClassEntry] = []
    for k, name in enumerate(names):
        right, examples = confusion[k][k], sum(confusion[k])
        predicted = sum(row[k] for row in confusion)
        classes.append(
            {
                "name": name,
                "examples": examples,
                "predicted": predicted,
                "right": right,
                "precision": _ratio(right, predicted),
                "recall": _ratio(right, examples),
                "f1": _ratio(2 * right, examples + predicted),
            }
        )
    return {"classes": classes, "confusion": [list(row) for row in confusion]}


def _ratio(above: int, below: int) -> float | None:
    return above / below if below else None


def per_class_tables(per_class: PerClass) -> list[RenderableType]:
    """The table of the classes and the confusion matrix; of many classes the most frequent confusions."""
    columns = ("class", "examples", "predicted", "right", "precision", "recall", "f1")
    table = _table(columns)
    for entry in per_class["classes"]:
        shares = (entry["precision"], entry["recall"], entry["f1"])
        counts = (entry["examples"], entry["predicted"], entry["right"])
        table.add_row(
            Text(entry["name"]),
            *map(str, counts),
            *("–" if share is None else number(share) for share in shares),
        )
    names = [entry["name"] for entry in per_class["classes"]]
    return [table, Text(""), _matrix(names, per_class) if len(names) <= _MATRIX else _most(names, per_class)]


def _table(columns: Sequence[str]) -> Table:
    table = Table(box=None, header_style="dim", pad_edge=False)
    for i, column in enumerate(columns):
        table.add_column(Text(column), justify="right" if i else "left")
    return table


def _matrix(names: Sequence[str], per_class: PerClass) -> Table:
    table = _table(["is \\ predicted", *names])
    for name, row in zip(names, per_class["confusion"], strict=True):
        table.add_row(Text(name), *map(str, row))
    return table


def _most(names: Sequence[str], per_class: PerClass) -> Table:
    confused = [
        (count, actual, predicted)
        for actual, row in enumerate(per_class["confusion"])
        for predicted, count in enumerate(row)
        if actual != predicted and count
    ]
    table = _table(["is", "predicted", "examples"])
    for count, actual, predicted in sorted(confused, key=lambda item: (-item[0], *item[1:]))[:_LISTED]:
        table.add_row(Text(names[actual]), Text(names[predicted]), str(count))
    return table
