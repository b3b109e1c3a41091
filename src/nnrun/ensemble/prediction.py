"""Predictions of a run or an ensemble, for new inputs or a part of its own data."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import NamedTuple

import numpy as np

from nnrun.data._inputs import read_inputs
from nnrun.data._standardise import new_inputs
from nnrun.ensemble.members import is_ensemble
from nnrun.ensemble.models import Model, held_out
from nnrun.ensemble.predict import Counting
from nnrun.ensemble.reading import Ensemble, mean_for, read
from nnrun.errors import RunError, SpecError, Warn, one_line
from nnrun.record import run
from nnrun.rows import Rows
from nnrun.runner.evaluation import check_split
from nnrun.storage import fsio

__all__ = ["Prediction", "check_output", "predict", "write"]

_FORMATS = (".csv", ".npz")


class Prediction(NamedTuple):
    """What was predicted.

    classes  names by label; () for a regression
    values   (n, classes) float64 probabilities, or (n,) numbers in units of the target
    names    of the inputs, where they have any
    targets  (n,) labels or numbers, where they are known
    """

    classes: tuple[str, ...]
    values: np.ndarray
    names: list[str]
    targets: np.ndarray | None


def check_output(output: Path) -> None:
    """Raises SpecError unless predictions can be written there."""
    if output.suffix not in _FORMATS:
        raise SpecError(f"-o {one_line(output)}: write a name that ends in {' or '.join(_FORMATS)}")
    if not output.absolute().parent.is_dir():
        raise SpecError(f"-o {one_line(output)}: no such folder; make it first or write another name")


def predict(
    folder: Path,
    source: Path | None,
    split: str | None,
    which: str,
    warn: Warn,
    counting: Counting,
    average: str | None = None,
) -> Prediction:
    """Predicts with a run or an ensemble, without noise.

    source   a file or folder of inputs; None: a part of the run's own data
    split    train, val or test, where there is no source
    which    last, best, or a step
    average  of the run, whose value there predicts: ema, swa, ...; None: the parameters that were trained
    Raises SpecError, DataError, RunError, MachineError, Interrupted.
    """
    if (source is None) == (split is None):
        raise SpecError("what to predict for? write a file of inputs, or --split test, one of them")
    if split is not None:
        check_split(split)
    names: list[str] = []

    def inputs(model: Model) -> np.ndarray | Rows:
        if source is None:
            return held_out(model, split or "test", folder).x
        data = model.experiment.dataset
        found = read_inputs(source, model.block, data.fitted)
        names[:] = found.names
        return new_inputs(found.x, data.fitted, data.train.x.dtype)

    needed = [] if split is None else [split]
    answer = mean_for(_ensemble(folder, average), which, inputs, warn, counting, needed=needed)
    data = answer.model.experiment.dataset
    targets = None if split is None else data.targets.get(split, answer.model.part(split).y)
    if data.classes:
        return Prediction(data.classes, answer.combiner.probabilities(answer.mean), names, targets)
    values = answer.mean[:, 0].astype(np.float64) * data.target_scale + data.target_shift
    return Prediction((), values, names, targets)


def _ensemble(folder: Path, average: str | None) -> Ensemble:
    if is_ensemble(folder) and average:
        raise RunError(
            f"{one_line(folder)}: an ensemble, it keeps no average {one_line(average, 40)!r}; make it of RUN:"
            f"{one_line(average, 40)}: nnrun ensemble"
        )
    if is_ensemble(folder):
        return read(folder)
    members = run.members(folder)
    if members:
        raise RunError(
            f"{one_line(folder)}: a group of {len(members)} runs; name one, as {one_line(members[0])}, or average "
            "them: nnrun ensemble"
        )
    return Ensemble(folder, "probabilities", [folder], [1.0], average)


def write(output: Path, prediction: Prediction) -> None:
    """Writes predictions as .csv or .npz.

    csv   name (if there are names), label and a probability for each class, or prediction; target (if known)
    npz   probabilities (n, classes), labels (n,), classes; or predictions (n,); targets, names
    Raises MachineError.
    """
    fsio.write_file(output, (_csv if output.suffix == ".csv" else _npz)(prediction))


def _csv(prediction: Prediction) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    classes, targets = prediction.classes, prediction.targets
    columns = ["label", *(f"p({name})" for name in classes)] if classes else ["prediction"]
    named, known = bool(prediction.names), targets is not None
    writer.writerow([*["name"] * named, *columns, *["target"] * known])
    for i, values in enumerate(prediction.values):
        row = [prediction.names[i]] if named else []
        row += [classes[values.argmax()], *map(repr, values.tolist())] if classes else [repr(float(values))]
        if targets is not None:
            row.append(classes[targets[i]] if classes else repr(float(targets[i])))
        writer.writerow(row)
    return text.getvalue().encode()


def _npz(prediction: Prediction) -> bytes:
    arrays = {"predictions": prediction.values}
    if prediction.classes:
        arrays = {
            "probabilities": prediction.values,
            "labels": prediction.values.argmax(1).astype(np.int32),
            "classes": np.array(prediction.classes),
        }
    if prediction.targets is not None:
        arrays["targets"] = prediction.targets
    if prediction.names:
        arrays["names"] = np.array(prediction.names)
    content = io.BytesIO()
    np.savez(content, allow_pickle=False, **arrays)
    return content.getvalue()
