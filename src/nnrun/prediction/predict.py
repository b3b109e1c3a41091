"""Predictions of a run or an ensemble, for new inputs or a part of its own data."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import NamedTuple

import numpy as np

from nnrun import signals
from nnrun.data._files import STDIN
from nnrun.data._piece import Extras
from nnrun.data._pieces import rows_in
from nnrun.errors import Warn
from nnrun.prediction.adjustment import Interval, Temperature, fit_interval, temperature_of
from nnrun.prediction.by_member import Counting
from nnrun.prediction.combiner import Combiner
from nnrun.prediction.folds import check_part
from nnrun.prediction.inputs import arrays_for, pieces_for
from nnrun.prediction.models import SharedModel, held_out
from nnrun.prediction.output import Pieces, Prediction, check_kept, row_column
from nnrun.prediction.predictor import load_ensemble
from nnrun.prediction.reading import WeightedMembers, as_ensemble, check_finite, mean_for
from nnrun.runner.evaluation import check_split
from nnrun.statistics.calibration import scaled
from nnrun.training.outputs import BATCH
from nnrun.types import Dataset

__all__ = [
    "PLAIN",
    "Adjustment",
    "adjustment",
    "batches_in",
    "predict_given",
    "predict_new",
    "predict_part",
    "predict_with_inputs",
]


class Adjustment(NamedTuple):
    """What is fitted to the validation part: a temperature, or an interval."""

    temperature: Temperature | None = None
    interval: Interval | None = None


PLAIN = Adjustment()


def adjustment(
    folder: Path,
    which: str,
    average: str | None,
    level: float | None,
    calibrated: bool,
    warn: Warn,
    counting: Counting,
) -> Adjustment:
    """What is to be fitted to the validation part of a run or an ensemble; the run's data are read for it.

    level        of intervals around numbers; None: there are none
    calibrated   whether probabilities have a temperature
    Raises SpecError where it does not fit the run, RunError, DataError.
    """
    ensemble = as_ensemble(folder, average)
    return Adjustment(
        temperature_of(ensemble, which, warn, counting) if calibrated else None,
        None if level is None else fit_interval(ensemble, which, level, warn, counting),
    )


def predict_part(
    folder: Path,
    split: str,
    which: str,
    warn: Warn,
    counting: Counting,
    average: str | None = None,
    adjust: Adjustment = PLAIN,
) -> Prediction:
    """What `predict_with_inputs` predicts."""
    return predict_with_inputs(folder, split, which, warn, counting, average, adjust)[0]


def predict_with_inputs(
    folder: Path,
    split: str,
    which: str,
    warn: Warn,
    counting: Counting,
    average: str | None = None,
    adjust: Adjustment = PLAIN,
) -> tuple[Prediction, Dataset]:
    """Predicts for a part of the data of a run or an ensemble, without noise; and the data, which have that part.

    split    train, val or test
    which    last, best, or a step
    average  of the run, whose value there predicts: ema, swa, ...; None: the parameters that were trained
    Raises SpecError, DataError, RunError, MachineError, Interrupted.
    """
    check_split(split)
    ensemble = as_ensemble(folder, average)
    check_part(ensemble.members, split)
    answer = mean_for(
        ensemble, which, lambda model: held_out(model, split, folder).x, warn, counting, needed=[split]
    )
    check_finite(answer.mean, folder)
    prediction = _read(answer.model, answer.combiner, answer.mean, adjust)
    rows = answer.model.experiment.dataset.rows.get(split)
    kept = [] if rows is None else [row_column(rows)]
    prediction = prediction._replace(targets=answer.model.targets(split), rows=rows, kept=kept)
    return prediction, answer.model.experiment.dataset


def predict_new(
    ensemble: WeightedMembers,
    source: Path,
    which: str,
    warn: Warn,
    counting: Counting,
    keep: Sequence[str] = (),
    adjust: Adjustment = PLAIN,
) -> Pieces:
    """Predicts for new inputs, piece by piece, without noise.

    source   a file or folder of inputs, or - for standard input
    keep     columns of a table of inputs to carry along
    Raises SpecError, DataError, RunError, MachineError, Interrupted.
    """
    predictor = load_ensemble(ensemble, which, warn, resident=False)
    model, before = predictor.members[0].model, 0
    models = [member.model for member in predictor.members]
    # Nobody would hear Ctrl-C while standard input is waited for.
    heard = nullcontext() if source == STDIN else signals.deferred()
    with heard, counting("predicting", batches_in(source, len(predictor.members))) as tick:
        for inputs, stored in pieces_for(models, source, warn, Extras(keep)):
            mean = predictor.mean(predictor.outputs(stored, tick, before))
            check_finite(mean, ensemble.folder, before)
            before += len(mean)
            prediction = _read(model, predictor.combiner, mean, adjust)
            prediction = prediction._replace(names=inputs.names, kept=inputs.kept, targets=inputs.targets)
            check_kept(prediction)
            yield prediction


def predict_given(
    ensemble: WeightedMembers, inputs: object, which: str, warn: Warn, adjust: Adjustment = PLAIN
) -> Prediction:
    """Predicts for inputs in memory, without noise: an array (n, *shape), or columns by name.

    Raises SpecError, DataError, RunError, MachineError.
    """
    predictor = load_ensemble(ensemble, which, warn, resident=False)
    stored = arrays_for([member.model for member in predictor.members], inputs, warn)
    mean = predictor.mean(predictor.outputs(stored, lambda: None))
    check_finite(mean, ensemble.folder)
    return _read(predictor.members[0].model, predictor.combiner, mean, adjust)


def batches_in(source: Path, members: int) -> int | None:
    """About how many batches of inputs there are for all members; None where nobody knows before."""
    rows = rows_in(source)
    return None if rows is None else members * -(-rows // BATCH)


def _read(model: SharedModel, combiner: Combiner, mean: np.ndarray, adjust: Adjustment) -> Prediction:
    """What outputs, or their mean, say."""
    data = model.experiment.dataset
    if model.kind == "labels":
        pairs, values = data.fitted.label_classes, combiner.probabilities(mean)
        return Prediction((), values, [], None, of_targets=data.fitted.targets, label_classes=pairs)
    if model.kind == "numbers":
        values = data.fitted.to_units(mean)
        width = adjust.interval and adjust.interval.half_width
        return Prediction((), values, [], None, half_width=width, of_targets=data.fitted.targets)
    if adjust.temperature is not None:
        values = scaled(combiner.outputs(mean), adjust.temperature.value)
    else:
        values = combiner.probabilities(mean)
    return Prediction(data.classes, values, [], None, scores=model.kind == "scores")
