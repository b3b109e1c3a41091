"""Predictions as they are asked for, by the command and in Python: for new inputs, or for a part of a run's data."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple, NotRequired

from typing_extensions import TypedDict

from nnrun.errors import SpecError, Warn
from nnrun.prediction.by_member import Counting
from nnrun.prediction.out_of_fold import out_of_fold
from nnrun.prediction.output import Pieces
from nnrun.prediction.predict import PLAIN, Adjustment, adjustment, predict_given, predict_new, predict_part
from nnrun.prediction.reading import as_ensemble
from nnrun.runner.group import folds_of

__all__ = ["FittedInterval", "FittedTemperature", "Inquiry", "PredictionReport", "predictions"]


class FittedInterval(TypedDict):
    """Of numbers: prediction ± half_width holds the value with a probability of `level`."""

    level: float
    half_width: float | list[float]  # of several targets one for each
    rank: int  # of the half width among the errors of the validation part
    examples: int  # of the validation part


class FittedTemperature(TypedDict):
    """What logits are divided by."""

    value: float
    examples: int  # of the validation part, to which it is fitted


class PredictionReport(TypedDict):
    """What `nnrun predict --json` prints; the predictions are in a file."""

    run_dir: str
    output: str
    examples: int
    interval: NotRequired[FittedInterval]
    temperature: NotRequired[FittedTemperature]


class Inquiry(NamedTuple):
    """What is to be predicted, and how.

    inputs      a path, or inputs in memory (an array, columns by name); None: a part of the data
    split       that part; val of a cross-validation: each example by the fold that was not trained on it
    which       last, best, or a step
    average     that the run kept, whose parameters predict; None: those that were trained
    level       of intervals around numbers; None: there are none
    calibrated  whether probabilities have the temperature that fits the validation part
    keep        columns of a table of inputs to carry along
    """

    inputs: object = None
    split: str | None = None
    which: str = "best"
    average: str | None = None
    level: float | None = None
    calibrated: bool = False
    keep: Sequence[str] = ()


def predictions(
    folder: Path, inquiry: Inquiry, warn: Warn, counting: Counting
) -> tuple[Callable[[], Pieces], Adjustment]:
    """What computes the predictions of a run or an ensemble, piece by piece, and what was fitted for them.

    Raises SpecError, DataError, RunError, MachineError, Interrupted.
    """
    inputs, split, which, average, level, calibrated, keep = inquiry
    if (inputs is None) == (split is None):
        raise SpecError("what to predict for? write a file of inputs, or --split test, one of them")
    if split is not None and keep:
        raise SpecError("--keep: carries columns of a table of inputs along; leave it out with --split")
    is_out_of_fold = split == "val" and not (average or calibrated or level) and bool(folds_of(folder))
    if is_out_of_fold:
        return lambda: (piece for piece in (out_of_fold(folder, which, warn, counting),)), PLAIN
    adjust = adjustment(folder, which, average, level, calibrated, warn, counting)

    def computed() -> Pieces:
        if split is not None:
            yield predict_part(folder, split, which, warn, counting, average, adjust)
        elif isinstance(inputs, Path):
            ensemble = as_ensemble(folder, average)
            yield from predict_new(ensemble, inputs, which, warn, counting, keep, adjust)
        else:
            if keep:
                raise SpecError("--keep: carries columns of a file along; leave it out for inputs in memory")
            yield predict_given(as_ensemble(folder, average), inputs, which, warn, adjust)

    return computed, adjust
