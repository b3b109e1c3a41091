"""Predictions of a run or an ensemble, for new inputs or a part of its own data."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from nnrun.data._inputs import read_inputs
from nnrun.data._standardise import new_inputs
from nnrun.ensemble.folds import check_part
from nnrun.ensemble.members import is_ensemble
from nnrun.ensemble.models import Model, held_out
from nnrun.ensemble.predict import Counting
from nnrun.ensemble.reading import Ensemble, mean_for, read
from nnrun.errors import RunError, SpecError, Warn, one_line
from nnrun.record import run
from nnrun.rows import Rows
from nnrun.runner.evaluation import check_split
from nnrun.runner.group import folds_of
from nnrun.storage import fsio

__all__ = [
    "STDOUT",
    "Prediction",
    "as_csv",
    "as_ensemble",
    "check_finite",
    "check_output",
    "predict",
    "write",
]

STDOUT = Path("-")  # as the name of an output: standard output

_FORMATS = (".csv", ".npz")


class Prediction(NamedTuple):
    """What was predicted.

    classes  names by label; () for a regression
    values   (n, classes) float64 probabilities or scores, or (n,) numbers in units of the target
    names    of the inputs, where they have any
    targets  (n,) labels or numbers, where they are known
    kept     columns of the table of inputs that are carried along: name and cells (n,)
    scores   whether values of classes are scores, such as hinge makes, and no probabilities
    rows     positions in the data (n,), of a part of the run's own data
    """

    classes: tuple[str, ...]
    values: np.ndarray
    names: list[str]
    targets: np.ndarray | None
    kept: Sequence[tuple[str, Sequence[str]]] = ()
    scores: bool = False
    rows: np.ndarray | None = None


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


def predict(
    folder: Path,
    source: Path | None,
    split: str | None,
    which: str,
    warn: Warn,
    counting: Counting,
    average: str | None = None,
    keep: Sequence[str] = (),
) -> Prediction:
    """Predicts with a run or an ensemble, without noise.

    source   a file or folder of inputs; None: a part of the run's own data
    split    train, val or test, where there is no source
    which    last, best, or a step
    average  of the run, whose value there predicts: ema, swa, ...; None: the parameters that were trained
    keep     columns of a table of inputs to carry along
    Raises SpecError, DataError, RunError, MachineError, Interrupted.
    """
    if (source is None) == (split is None):
        raise SpecError("what to predict for? write a file of inputs, or --split test, one of them")
    if split is not None:
        check_split(split)
    if split is not None and keep:
        raise SpecError("--keep: carries columns of a table of inputs along; leave it out with --split")
    names: list[str] = []
    kept: list[tuple[str, Sequence[str]]] = []

    def inputs(model: Model) -> np.ndarray | Rows:
        if source is None:
            return held_out(model, split or "test", folder).x
        data = model.experiment.dataset
        new = read_inputs(source, model.block, data.fitted, warn, keep)
        names[:], kept[:] = new.names, new.kept
        _check_kept(keep, _head(data.classes, model.scores))
        return new_inputs(new.x, data.fitted, data.train.x.dtype)

    needed = [] if split is None else [split]
    ensemble = as_ensemble(folder, average)
    check_part(ensemble.members, split)
    answer = mean_for(ensemble, which, inputs, warn, counting, needed=needed)
    check_finite(answer.mean, folder)
    data = answer.model.experiment.dataset
    targets = None if split is None else data.targets.get(split, answer.model.part(split).y)
    rows = None if split is None else data.rows.get(split)
    if data.classes:
        values, scores = answer.combiner.probabilities(answer.mean), answer.model.scores
        return Prediction(data.classes, values, names, targets, kept, scores, rows)
    values = answer.mean[:, 0].astype(np.float64) * data.target_scale + data.target_shift
    return Prediction((), values, names, targets, kept, rows=rows)


def check_finite(mean: np.ndarray, folder: Path) -> None:
    """Raises RunError naming the first input (n, ...) that a model says nothing of: NaN would be the first class."""
    bad = np.flatnonzero(~np.isfinite(mean).reshape(len(mean), -1).all(1))
    if len(bad):
        raise RunError(
            f"{one_line(folder)}: predicts NaN or infinity for the input at index {bad[0]}; correct it or leave it out"
        )


def _head(classes: tuple[str, ...], scores: bool) -> list[str]:
    """The names of the columns of predictions."""
    of_class = "score" if scores else "p"
    return ["label", *(f"{of_class}({name})" for name in classes)] if classes else ["prediction"]


def _check_kept(keep: Sequence[str], columns: list[str]) -> None:
    """Raises SpecError where a column that is carried along would be there twice."""
    for name in keep:
        if name in columns:
            raise SpecError(
                f"--keep {one_line(name, 40)}: the predictions have a column of that name; rename it in the table"
            )


def as_ensemble(folder: Path, average: str | None) -> Ensemble:
    """An ensemble, or a run as one of a single member.  Raises RunError for a group of seeds."""
    if is_ensemble(folder) and average:
        raise RunError(
            f"{one_line(folder)}: an ensemble, it keeps no average {one_line(average, 40)!r}; make it of RUN:"
            f"{one_line(average, 40)}: nnrun ensemble"
        )
    if is_ensemble(folder):
        return read(folder)
    members = run.members(folder)
    if members:
        if folds_of(folder):
            raise RunError(
                f"{one_line(folder)}: a cross-validation; nnrun predict --split val gives what each fold predicts for "
                "the examples that it was not trained on; for others, average the folds: nnrun ensemble"
            )
        raise RunError(
            f"{one_line(folder)}: a group of {len(members)} runs; name one, as {one_line(members[0])}, or average "
            "them: nnrun ensemble"
        )
    return Ensemble(folder, "probabilities", [folder], [1.0], average)


def write(output: Path, prediction: Prediction) -> None:
    """Writes predictions as .csv or .npz.

    csv   kept columns, name (if there are names), label and a probability or score for each class, or prediction;
          target (if known)
    npz   probabilities or scores (n, classes), labels (n,), classes; or predictions (n,); targets, names, kept/COLUMN
    Raises MachineError.
    """
    content = as_csv(prediction).encode() if output.suffix == ".csv" else _npz(prediction)
    fsio.write_file(output, content)


def as_csv(prediction: Prediction) -> str:
    """Predictions as the text of a CSV file."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    classes, targets = prediction.classes, prediction.targets
    named, known = bool(prediction.names), targets is not None
    kept = [name for name, _ in prediction.kept]
    writer.writerow([*kept, *["name"] * named, *_head(classes, prediction.scores), *["target"] * known])
    for i, values in enumerate(prediction.values):
        row = [cells[i] for _, cells in prediction.kept]
        row += [prediction.names[i]] if named else []
        row += [classes[values.argmax()], *map(repr, values.tolist())] if classes else [repr(float(values))]
        if targets is not None:
            row.append(classes[targets[i]] if classes else repr(float(targets[i])))
        writer.writerow(row)
    return text.getvalue()


def _npz(prediction: Prediction) -> bytes:
    arrays = {"predictions": prediction.values}
    if prediction.classes:
        arrays = {
            "scores" if prediction.scores else "probabilities": prediction.values,
            "labels": prediction.values.argmax(1).astype(np.int32),
            "classes": np.array(prediction.classes),
        }
    if prediction.targets is not None:
        arrays["targets"] = prediction.targets
    if prediction.names:
        arrays["names"] = np.array(prediction.names)
    arrays |= {f"kept/{name}": np.array(cells) for name, cells in prediction.kept}
    content = io.BytesIO()
    np.savez(content, allow_pickle=False, **arrays)
    return content.getvalue()
