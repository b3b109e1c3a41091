"""Predictions as CSV or .npz, written as they come."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import numpy as np

from nnrun.errors import SpecError, one_line
from nnrun.storage import fsio

__all__ = [
    "STDOUT",
    "Prediction",
    "check_kept",
    "check_output",
    "names_of_labels",
    "row_column",
    "write",
    "write_csv",
]

STDOUT = Path("-")  # as the name of an output: standard output

_FORMATS = (".csv", ".npz")
_INTERVAL = ["lower", "upper"]


class Prediction(NamedTuple):
    """What was predicted for some inputs.

    classes  names by label; () for a regression
    values   (n, classes) float64 probabilities or scores, or (n,) numbers in units of the target, of several (n, k);
             of several labels the probabilities (n, k) that each is there
    names    of the inputs, where they have any
    targets  (n,) labels or numbers, of several targets (n, k), where they are known
    kept     columns of the table of inputs that are carried along: name and cells (n,); of a part of the run's own data
             its rows
    scores   whether values of classes are scores, such as hinge makes, and no probabilities
    half_width   of the interval around each number, of several targets (k,); None: there is none
    rows     positions in the data (n,), of a part of the run's own data
    of_targets   the names of several targets; () where there is one
    label_classes   of several labels the two classes of each: that of 0, that of 1
    """

    classes: tuple[str, ...]
    values: np.ndarray
    names: list[str]
    targets: np.ndarray | None
    kept: Sequence[tuple[str, Sequence[object]]] = ()
    scores: bool = False
    half_width: float | np.ndarray | None = None
    rows: np.ndarray | None = None
    of_targets: tuple[str, ...] = ()
    label_classes: tuple[tuple[str, str], ...] = ()

    @property
    def head(self) -> list[str]:
        """The names of the columns of predictions."""
        of_class = "score" if self.scores else "p"
        if self.classes:
            return ["label", *(f"{of_class}({name})" for name in self.classes)]
        if self.label_classes:
            of_labels = zip(self.of_targets, self.label_classes, strict=True)
            return [
                name for target, (_, yes) in of_labels for name in (f"label({target})", f"p({target}={yes})")
            ]
        names = ["prediction", *(_INTERVAL if self.half_width is not None else [])]
        return [f"{name}({target})" for target in self.of_targets for name in names] or names

    @property
    def truth(self) -> list[str]:
        """The names of the columns of the true values."""
        return [f"target({target})" for target in self.of_targets] or ["target"]


def row_column(rows: np.ndarray) -> tuple[str, Sequence[int]]:
    """The column that says which example of the data each prediction is for, counted from 0."""
    return "row", rows.tolist()


def names_of_labels(yes: np.ndarray, label_classes: Sequence[tuple[str, str]]) -> np.ndarray:
    """(n, k) names of classes of several labels: the second of each where `yes`, its probability, is above a half."""
    return np.array(label_classes)[np.arange(len(label_classes)), (yes > 0.5).astype(np.int64)]


# Predictions for piece after piece of the inputs, at least one; they are computed when they are asked for.
Pieces = Generator[Prediction, None, None]


def check_output(output: Path, force: bool = False) -> None:
    """Raises SpecError unless predictions can be written there.

    force   whether a file that is there is replaced
    """
    if output == STDOUT:
        return
    if output.suffix not in _FORMATS:
        raise SpecError(f"-o {one_line(output)}: write a name that ends in {' or '.join(_FORMATS)}")
    if output.is_dir():
        raise SpecError(f"-o {one_line(output)}: is a folder; write the name of a file")
    if output.exists() and not force:
        raise SpecError(
            f"-o {one_line(output)}: already exists; write --force to replace it, or another name"
        )
    if not output.absolute().parent.is_dir():
        raise SpecError(f"-o {one_line(output)}: no such folder; make it first or write another name")


def check_kept(prediction: Prediction) -> None:
    """Raises SpecError where a column that is carried along would be there twice."""
    for name, _ in prediction.kept:
        if name in prediction.head:
            raise SpecError(
                f"--keep {one_line(name, 40)}: the predictions have a column of that name; rename it in the table"
            )


def write(output: Path, pieces: Pieces) -> int:
    """Writes predictions as .csv or .npz; the file appears when the last of them is there.  Returns how many.

    csv   kept columns, name (if there are names), label and a probability or score for each class, or prediction with
          lower and upper (if there is an interval); target (if known); of several targets these for each, as
          prediction(height), of several labels as label(tall), p(tall=yes)
    npz   probabilities or scores (n, classes), labels (n,), classes; or predictions, lower, upper (n,), of several
          targets (n, k), and target_names; of several labels probabilities, labels (n, k), target_names and
          label_classes (k, 2); targets, names, kept/COLUMN
    Raises MachineError, and what predicting raises; nothing is written then.
    """
    with closing(pieces), fsio.writing(output) as put:
        if output.suffix == ".csv":
            return write_csv(lambda text: put(text.encode()), pieces)
        predictions = list(pieces)
        put(_npz(predictions))
    return sum(len(prediction.values) for prediction in predictions)


def write_csv(put: Callable[[str], None], pieces: Iterator[Prediction]) -> int:
    """Gives `put` predictions as the text of a CSV file, piece by piece.  Returns how many there are."""
    count = 0
    for prediction in pieces:
        put(_rows(prediction, count == 0))
        count += len(prediction.values)
    return count


def _rows(prediction: Prediction, begins: bool) -> str:
    """The lines of a piece, behind a header where the file begins."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    classes, targets, wide = prediction.classes, prediction.targets, prediction.half_width
    named, known, pairs = bool(prediction.names), targets is not None, prediction.label_classes
    if begins:
        kept = [name for name, _ in prediction.kept]
        writer.writerow([*kept, *["name"] * named, *prediction.head, *(prediction.truth if known else [])])
    for i, values in enumerate(prediction.values):
        row = [cells[i] for _, cells in prediction.kept]
        row += [prediction.names[i]] if named else []
        if classes:
            row += [classes[values.argmax()], *map(repr, values.tolist())]
        elif pairs:
            for name, p in zip(names_of_labels(values[None], pairs)[0], values.tolist(), strict=True):
                row += [name, repr(p)]
        else:
            ends = () if wide is None else (values - wide, values + wide)
            row += _written(np.stack([values, *ends], axis=-1))
        if targets is not None and pairs:
            row += names_of_labels(targets[i][None], pairs)[0].tolist()
        elif targets is not None:
            row += [classes[targets[i]]] if classes else _written(targets[i])
        writer.writerow(row)
    return text.getvalue()


def _written(numbers: np.ndarray) -> list[str]:
    """Numbers with all their digits, those of one target after another."""
    return [repr(number) for number in np.asarray(numbers, np.float64).reshape(-1).tolist()]


def _npz(pieces: list[Prediction]) -> bytes:
    first = pieces[0]
    values = np.concatenate([piece.values for piece in pieces])
    arrays = {"predictions": values}
    if first.half_width is not None:
        arrays |= {"lower": values - first.half_width, "upper": values + first.half_width}
    if first.classes:
        arrays = {
            "scores" if first.scores else "probabilities": values,
            "labels": values.argmax(1).astype(np.int32),
            "classes": np.array(first.classes),
        }
    if first.label_classes:
        arrays = {
            "probabilities": values,
            "labels": (values > 0.5).astype(np.int32),
            "label_classes": np.array(first.label_classes),
        }
    if first.of_targets:
        arrays["target_names"] = np.array(first.of_targets)
    targets = [piece.targets for piece in pieces if piece.targets is not None]
    if targets:
        arrays["targets"] = np.concatenate(targets)
    if first.names:
        arrays["names"] = np.array([name for piece in pieces for name in piece.names])
    for i, (name, _) in enumerate(first.kept):
        arrays[f"kept/{name}"] = np.array([*chain.from_iterable(piece.kept[i][1] for piece in pieces)])
    content = io.BytesIO()
    np.savez(content, allow_pickle=False, **arrays)
    return content.getvalue()
