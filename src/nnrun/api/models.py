"""Trained models: what they predict, and how well."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from nnrun.api._frames import frame_of_rows, uncounted
from nnrun.api.predictions import Predictions, joined
from nnrun.errors import SpecError
from nnrun.prediction import evaluation as measuring
from nnrun.prediction.inquiry import Inquiry, predictions
from nnrun.prediction.predictor import Predictor, load_predictor
from nnrun.prediction.request import EvaluationRequest, check
from nnrun.record import pointer, run
from nnrun.report.evaluated import evaluation_gaps, evaluation_view
from nnrun.report.plain_text import as_text

if TYPE_CHECKING:
    from pandas import DataFrame  # pyright: ignore[reportMissingImports]

__all__ = ["Evaluation", "Predictions", "Predictor", "evaluate", "load", "predict"]


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
    return joined(list(computed()))


def _columns(target: str | Mapping[str, str] | None) -> Sequence[str]:
    """The columns of the true values as `nnrun evaluate --target` names them."""
    if isinstance(target, Mapping):
        return [f"{name}={column}" for name, column in target.items()]
    return () if target is None else (target,)


def _listed(argument: str, names: Sequence[str]) -> Sequence[str]:
    """The names; SpecError for one text, of which each letter would be one."""
    if isinstance(names, str):
        raise SpecError(f"{argument}: got {names!r}; write a list: [{names!r}]")
    return names


def evaluate(
    run_dir: str | Path,
    split: str | None = None,
    checkpoint: str | int = "best",
    *,
    samples: int = 0,
    file: str | Path | None = None,
    target: str | Mapping[str, str] | None = None,
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
    target       the column, or array, of the true values in it; of several targets {target: column} for those whose
                 column has another name; None: that of the run
    metrics      names of the catalogue, beside those of the run
    calibrated   whether probabilities have the temperature that fits the validation part
    Raises the errors of nnrun.errors.
    """
    root = Path(runs_root)
    name, step, average = pointer.split(str(run_dir), root)
    source, which = None if file is None else Path(file), step or str(checkpoint)
    listed = _listed("metrics", metrics)
    request = EvaluationRequest(source, split, which, average, _columns(target), calibrated, listed, samples)
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
