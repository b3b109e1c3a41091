"""How each class is predicted: a table, and which classes are taken for which."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import RenderableType
from rich.text import Text
from typing_extensions import TypedDict

from nnrun.report.sheet import Sheet, sheet_of
from nnrun.report.values import SHARED, level

__all__ = ["ClassEntry", "PerClass", "classes_sheet", "confusions_sheet", "per_class_of", "per_class_tables"]

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
    few = len(per_class["classes"]) <= _MATRIX
    return [classes_sheet(per_class), Text(""), _matrix(per_class) if few else confusions_sheet(per_class)]


def classes_sheet(per_class: PerClass) -> Sheet:
    """A row for each class."""
    rows = []
    for entry in per_class["classes"]:
        shares = (entry["precision"], entry["recall"], entry["f1"])
        counts = (entry["examples"], entry["predicted"], entry["right"])
        cells = [*map(str, counts), *("–" if share is None else level(SHARED, share) for share in shares)]
        rows.append([entry["name"], *cells])
    return sheet_of(["class", "examples", "predicted", "right", "precision", "recall", "f1"], rows)


def _names(per_class: PerClass) -> list[str]:
    return [entry["name"] for entry in per_class["classes"]]


def _matrix(per_class: PerClass) -> Sheet:
    names = _names(per_class)
    rows = [[name, *map(str, row)] for name, row in zip(names, per_class["confusion"], strict=True)]
    return sheet_of(["is \\ predicted", *names], rows)


def confusions_sheet(per_class: PerClass) -> Sheet:
    """The most frequent confusions."""
    names = _names(per_class)
    confused = [
        (count, actual, predicted)
        for actual, row in enumerate(per_class["confusion"])
        for predicted, count in enumerate(row)
        if actual != predicted and count
    ]
    most = sorted(confused, key=lambda item: (-item[0], *item[1:]))[:_LISTED]
    rows = [[names[actual], names[predicted], str(count)] for count, actual, predicted in most]
    return sheet_of(["is", "predicted", "examples"], rows, keys=2)
