"""Trained models: what they predict, and how well."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import numpy as np

from nnrun.api._frames import frame_of_columns, frame_of_rows, uncounted
from nnrun.errors import SpecError
from nnrun.prediction import evaluation as measuring
from nnrun.prediction.inquiry import Inquiry, predictions
from nnrun.prediction.output import Prediction
from nnrun.prediction.predictor import Predictor, load_predictor
from nnrun.prediction.request import Request, check
from nnrun.record import pointer, run
from nnrun.report.evaluated import evaluation_gaps, evaluation_view
from nnrun.report.plain_text import as_text

if TYPE_CHECKING:
    from pandas import DataFrame  # pyright: ignore[reportMissingImports]

__all__ = ["Evaluation", "Predictions", "Predictor", "evaluate", "load", "predict"]

_SHOWN = 10  # predictions that are printed


class Evaluation(dict[str, Any]):
    """Metrics of a run, a group or an ensemble: what `nnrun evaluate --json` prints, as a dict.

    Of a run it has `metrics`, of an ensemble too; of a group `mean`, `ci95` and `runs`.
    """

    def __repr__(self) -> str:
        gaps = [f"warning: {line}" for line in evaluation_gaps(self)]
        return as_text(*evaluation_view(self), *gaps)

    def to_pandas(self) -> DataFrame:
        """A row for each run and, where there are several, for their mean and for an ensemble of them."""
        runs: Sequence[Mapping[str, Any]] = self.get("runs", [self])
        rows = [{"run": part["run_dir"], "step": part["step"], **part["metrics"]} for part in runs]
        if "runs" in self:
            rows.append({"run": "mean", **self["mean"]})
        if "average" in self:
            rows.append({"run": self["run_dir"], **self["metrics"]})
        return frame_of_rows(rows)


class Predictions(NamedTuple):
    """What a model predicts for n inputs.

    values          (n,): names of classes, or numbers float64 in units of the target; of several targets (n, k)
    classes         names by label; () for a regression
    probabilities   (n, classes) float64; None for a regression, and where a loss makes scores
    scores          likewise, where a loss such as hinge makes scores and no probabilities
    lower, upper    like values: the ends of the intervals, where they were asked for
    targets         like values: the true ones, of a part of the run's own data
    names           of the inputs, where they have any: files of a folder of images
    kept            columns of a table that were carried along
    target_names    of several targets; () where there is one
    """

    values: np.ndarray
    classes: tuple[str, ...] = ()
    probabilities: np.ndarray | None = None
    scores: np.ndarray | None = None
    lower: np.ndarray | None = None
    upper: np.ndarray | None = None
    targets: np.ndarray | None = None
    names: Sequence[str] = ()
    kept: Mapping[str, Sequence[str]] = {}
    target_names: Sequence[str] = ()

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
        """The columns of numbers, those of one target after another, and behind them the true ones."""
        beside = {"prediction": self.values, "lower": self.lower, "upper": self.upper}
        columns = {
            f"{what}({name})": table[:, j]
            for j, name in enumerate(self.target_names)
            for what, table in beside.items()
            if table is not None
        }
        if self.targets is None:
            return columns
        return columns | {f"target({name})": self.targets[:, j] for j, name in enumerate(self.target_names)}

    def to_pandas(self) -> DataFrame:
        """A row for each input, with the columns that `nnrun predict` writes into a .csv."""
        return frame_of_columns(self.columns())


def _cell(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def predict(
    run_dir: str | Path,
    inputs: object = None,
    *,
    split: str | None = None,
    interval: float | None = None,
    calibrated: bool = False,
    checkpoint: str | int = "best",
    keep: Sequence[str] = (),
    runs_root: str | Path = "runs",
) -> Predictions:
    """Predicts with a run or an ensemble, as `nnrun predict` does, from its folder alone.

    run_dir      a run, or RUN:STEP, RUN:ema, RUN:STEP:ema
    inputs       the path of a table, an .npz, an image or a folder of images; an array (n, *shape); or columns by
                 name, such as a DataFrame
    split        train, val or test: a part of the run's own data in place of inputs
    interval     0.9: lower and upper ends around each number, which hold the value with this probability
    calibrated   whether probabilities have the temperature that fits the validation part
    checkpoint   last, best (by validation), or a step, where run_dir names none
    keep         columns of a table of inputs that are carried along
    `nnrun.load` reads a model once, for those who predict with it again and again.
    Raises the errors of nnrun.errors.
    """
    root = Path(runs_root)
    name, step, average = pointer.split(str(run_dir), root)
    given = Path(inputs) if isinstance(inputs, str) else inputs
    inquiry = Inquiry(
        given, split, step or str(checkpoint), average, interval, calibrated, _listed("keep", keep)
    )
    computed, _ = predictions(run.resolve(name, root), inquiry, warnings.warn, uncounted)
    return _joined(list(computed()))


def _listed(argument: str, names: Sequence[str]) -> Sequence[str]:
    """The names; SpecError for one text, of which each letter would be one."""
    if isinstance(names, str):
        raise SpecError(f"{argument}: got {names!r}; write a list: [{names!r}]")
    return names


def _joined(pieces: Sequence[Prediction]) -> Predictions:
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


def evaluate(
    run_dir: str | Path,
    split: str | None = None,
    checkpoint: str | int = "best",
    *,
    samples: int = 0,
    file: str | Path | None = None,
    target: str | None = None,
    metrics: Sequence[str] = (),
    calibrated: bool = False,
    runs_root: str | Path = "runs",
) -> Evaluation:
    """Metrics of a run or an ensemble on a part of its data or a file, as `nnrun evaluate --json` prints them.

    run_dir      a run, or RUN:STEP, RUN:ema, RUN:STEP:ema
    split        train, val or test; None: test, where there is no file
    checkpoint   last, best (by validation), or a step, where run_dir names none
    samples      predictions averaged over this many draws of the noise (Monte-Carlo dropout); 0: without noise
    file         new examples with their true values: a table, an .npz, or a folder of images
    target       the column, or array, of the true values in it; None: that of the run
    metrics      names of the catalogue, beside those of the run
    calibrated   whether probabilities have the temperature that fits the validation part
    Raises the errors of nnrun.errors.
    """
    root = Path(runs_root)
    name, step, average = pointer.split(str(run_dir), root)
    source, which = None if file is None else Path(file), step or str(checkpoint)
    listed = _listed("metrics", metrics)
    request = Request(source, split, which, average, target, calibrated, listed, samples)
    check(request)
    result = measuring.evaluate(run.resolve(name, root), request, warnings.warn, uncounted).result
    return Evaluation(cast("Mapping[str, Any]", result))


def load(run_dir: str | Path, checkpoint: str | int = "best", *, runs_root: str | Path = "runs") -> Predictor:
    """The model of a run or an ensemble, which predicts without its training data: `predict`, `predict_proba`, ...

    run_dir      a run, or RUN:STEP, RUN:ema, RUN:STEP:ema, as for `nnrun predict`
    checkpoint   last, best (by validation), or a step, where run_dir names none
    Raises the errors of nnrun.errors.
    """
    root = Path(runs_root)
    name, step, average = pointer.split(str(run_dir), root)
    return load_predictor(run.resolve(name, root), step or str(checkpoint), average, warnings.warn)
