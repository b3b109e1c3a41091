"""How each of several labels is predicted: a table with a row for each."""

from __future__ import annotations

from collections.abc import Sequence

from typing_extensions import TypedDict

from nnrun.report.sheet import Sheet, sheet_of
from nnrun.report.values import SHARED, level

__all__ = ["LabelEntry", "PerLabel", "labels_sheet", "per_label_of"]


class LabelEntry(TypedDict):
    """One label, which counts as there above a probability of 0.5; None where a share has no denominator.

    there      the class that means that it is there
    positives  examples of which it is there; predicted, right: of which it is predicted to be, and rightly
    baseline   the accuracy of predicting the larger class
    """

    name: str
    there: str
    examples: int
    positives: int
    predicted: int
    right: int
    precision: float | None
    recall: float | None
    f1: float | None
    accuracy: float
    baseline: float


class PerLabel(TypedDict):
    """How each label is predicted in a part of the data."""

    labels: list[LabelEntry]


def per_label_of(
    names: Sequence[str], classes: Sequence[Sequence[str]], counts: Sequence[Sequence[Sequence[int]]]
) -> PerLabel:
    """The table of the labels.

    classes   of each label, that of 0 and that of 1
    counts    of each label: row: what an example is, 0 or 1, column: what it is predicted to be
    """
    labels: list[LabelEntry] = []
    for name, (_, there), ((true_absent, wrong), (missed, right)) in zip(names, classes, counts, strict=True):
        positives, predicted = missed + right, wrong + right
        examples = true_absent + wrong + positives
        labels.append(
            {
                "name": name,
                "there": there,
                "examples": examples,
                "positives": positives,
                "predicted": predicted,
                "right": right,
                "precision": right / predicted if predicted else None,
                "recall": right / positives if positives else None,
                "f1": 2 * right / (positives + predicted) if positives + predicted else None,
                "accuracy": (true_absent + right) / examples,
                "baseline": max(positives, examples - positives) / examples,
            }
        )
    return {"labels": labels}


def labels_sheet(per_label: PerLabel) -> Sheet:
    """A row for each label."""
    head = ["label", "examples", "positives", "predicted", "right", "precision", "recall", "f1", "accuracy"]
    rows = []
    for entry in per_label["labels"]:
        counts = (entry["examples"], entry["positives"], entry["predicted"], entry["right"])
        shares = (entry["precision"], entry["recall"], entry["f1"], entry["accuracy"], entry["baseline"])
        cells = ["–" if share is None else level(SHARED, share) for share in shares]
        rows.append([f"{entry['name']}={entry['there']}", *map(str, counts), *cells])
    return sheet_of([*head, "largest class"], rows)
