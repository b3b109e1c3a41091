"""What models predict, as arrays and columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from nnrun.amounts import figure
from nnrun.api._frames import frame_of_columns
from nnrun.prediction.output import Prediction, names_of_labels

if TYPE_CHECKING:
    from pandas import DataFrame  # pyright: ignore[reportMissingImports]

__all__ = ["Predictions", "joined"]

_SHOWN = 10  # predictions that are printed


class Predictions(NamedTuple):
    """What a model predicts for n inputs.

    values          (n,): names of classes, or numbers float64 in units of the target; of several targets (n, k)
    classes         names by label; () for a regression
    probabilities   (n, classes) float64, of several labels (n, k); None for a regression, and where a loss makes scores
    scores          likewise, where a loss such as hinge makes scores and no probabilities
    lower, upper    like values: the ends of the intervals, where they were asked for
    targets         like values: the true ones, of a part of the run's own data
    names           of the inputs, where they have any: files of a folder of images
    kept            columns of a table that were carried along; of a part of the run's own data its `row`s
    target_names    of several targets; () where there is one
    label_classes   of several labels the two classes of each, of which probabilities are of the second
    """

    values: np.ndarray
    classes: tuple[str, ...] = ()
    probabilities: np.ndarray | None = None
    scores: np.ndarray | None = None
    lower: np.ndarray | None = None
    upper: np.ndarray | None = None
    targets: np.ndarray | None = None
    names: Sequence[str] = ()
    kept: Mapping[str, Sequence[object]] = {}
    target_names: Sequence[str] = ()
    label_classes: Sequence[tuple[str, str]] = ()

    def __repr__(self) -> str:
        columns = self.columns()
        text = [[*columns], *([_cell(column[i]) for column in columns.values()] for i in self._shown())]
        widths = [max(map(len, cells)) for cells in zip(*text, strict=True)]
        lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in text]
        rest = len(self.values) - _SHOWN
        return "\n".join([*lines, *([f"... {rest} more"] if rest > 0 else [])])

    def _shown(self) -> range:
        return range(min(_SHOWN, len(self.values)))

    def columns(self) -> dict[str, np.ndarray | Sequence[object]]:
        """The columns that `nnrun predict` writes into a .csv, by name."""
        columns: dict[str, np.ndarray | Sequence[object]] = {**self.kept}
        columns |= {"name": self.names} if len(self.names) else {}
        if self.target_names:
            return columns | self._of_targets()
        columns["label" if self.classes else "prediction"] = self.values
        for what, table in (("p", self.probabilities), ("score", self.scores)):
            if table is not None:
                columns |= {f"{what}({name})": table[:, i] for i, name in enumerate(self.classes)}
        beside = {"lower": self.lower, "upper": self.upper, "target": self.targets}
        return columns | {name: column for name, column in beside.items() if column is not None}

    def _of_targets(self) -> dict[str, np.ndarray]:
        """The columns of each target, those of one after another, and behind them the true ones."""
        classes = self.label_classes or [("", "")] * len(self.target_names)
        columns = {}
        for j, (name, (_, yes)) in enumerate(zip(self.target_names, classes, strict=True)):
            of_label = {f"label({name})": self.values, f"p({name}={yes})": self.probabilities}
            of_number = {
                f"prediction({name})": self.values,
                f"lower({name})": self.lower,
                f"upper({name})": self.upper,
            }
            beside = of_label if self.label_classes else of_number
            columns |= {head: table[:, j] for head, table in beside.items() if table is not None}
        if self.targets is None:
            return columns
        return columns | {f"target({name})": self.targets[:, j] for j, name in enumerate(self.target_names)}

    def to_pandas(self) -> DataFrame:
        """A row for each input, with the columns that `nnrun predict` writes into a .csv."""
        return frame_of_columns(self.columns())


def _cell(value: object) -> str:
    return figure(value) if isinstance(value, float) else str(value)


def joined(pieces: Sequence[Prediction]) -> Predictions:
    """The pieces as one."""
    first = pieces[0]
    values = np.concatenate([piece.values for piece in pieces])
    known = [piece.targets for piece in pieces if piece.targets is not None]
    targets = np.concatenate(known) if known else None
    common = Predictions(
        values,
        targets=targets,
        names=[name for piece in pieces for name in piece.names],
        kept={
            name: [*chain.from_iterable(piece.kept[i][1] for piece in pieces)]
            for i, (name, _) in enumerate(first.kept)
        },
        target_names=first.of_targets,
    )
    if first.label_classes:
        return common._replace(
            values=names_of_labels(values, first.label_classes),
            probabilities=values,
            targets=None if targets is None else names_of_labels(targets, first.label_classes),
            label_classes=first.label_classes,
        )
    if not first.classes:
        half = first.half_width
        return common if half is None else common._replace(lower=values - half, upper=values + half)
    names = np.array(first.classes)
    return common._replace(
        values=names[values.argmax(1)],
        classes=first.classes,
        probabilities=None if first.scores else values,
        scores=values if first.scores else None,
        targets=None if targets is None else names[targets],
    )
