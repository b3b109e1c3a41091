"""How a run or an ensemble predicts a part of its data, example by example: for its report."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from typing_extensions import TypedDict

from nnrun.amounts import figure
from nnrun.errors import DataError, RunError, Warn
from nnrun.look.cells import cells_of
from nnrun.look.filters import filters_of, pictures_of
from nnrun.look.layers import layers_of
from nnrun.prediction.by_member import Counting
from nnrun.prediction.folder import is_ensemble
from nnrun.prediction.output import Prediction
from nnrun.prediction.per_class import counts_of_labels
from nnrun.prediction.predict import predict_with_inputs
from nnrun.report.ensemble.account import bins_of
from nnrun.report.per_class import per_class_of
from nnrun.report.per_label import per_label_of
from nnrun.report.run.looked import Erring, Looked
from nnrun.statistics.calibration import reliability
from nnrun.types import Dataset

__all__ = ["MOST_ERRING", "look_at"]

MOST_ERRING = 24


def look_at(folder: Path, split: str, which: str, warn: Warn, counting: Counting) -> Looked:
    """Predicts a part of the data, without noise, and picks what deserves a look.

    folder   of a run or an ensemble
    split    train, val or test
    which    the checkpoint: last, best or a step
    Raises what `predict_part` raises.
    """
    prediction, data = predict_with_inputs(folder, split, which, warn, counting)
    assert prediction.targets is not None
    targets = prediction.targets
    looked: Looked = {
        "folder": str(folder), "split": split, "checkpoint": which, "examples": len(targets), "errors": len(targets),
        "wrong": [], "filters": filters_of(folder, which, data.fitted.shape),
    }  # fmt: skip
    if not is_ensemble(folder):
        try:
            looked["inside"] = layers_of(folder, which)
        except (
            DataError,
            RunError,
        ) as error:  # the part that was predicted is there, and the training part is not
            warn(f"nothing of the layers: {error}")
    if prediction.label_classes:
        wrong = (prediction.values > 0.5) != (targets > 0.5)
        rows = np.flatnonzero(wrong.any(1))
        order = rows[np.argsort(-np.abs(prediction.values - targets)[rows].max(1), kind="stable")]
        looked["labels"], looked["errors"] = list(prediction.of_targets), len(rows)
        counts = counts_of_labels(targets > 0.5, prediction.values > 0.5)
        looked["per_label"] = per_label_of(prediction.of_targets, prediction.label_classes, counts.tolist())
        looked["wrong"] = _erring(prediction, data, split, order[:MOST_ERRING])
        return looked
    if not prediction.classes:
        far = np.abs(prediction.values - targets) / data.fitted.target_scale
        if far.ndim > 1:
            far = far.mean(1)  # over targets, each in its deviations
        else:
            looked["targets"], looked["predictions"] = targets.tolist(), prediction.values.tolist()
        order = np.argsort(-far, kind="stable")
        looked["wrong"] = _erring(prediction, data, split, order[:MOST_ERRING])
        return looked
    labels = prediction.values.argmax(1)
    count = len(prediction.classes)
    confusion = np.bincount(targets.astype(np.int64) * count + labels, minlength=count**2).reshape(
        count, count
    )
    wrong = np.flatnonzero(labels != targets)
    order = wrong[np.argsort(-prediction.values[wrong, labels[wrong]], kind="stable")]
    looked["per_class"] = per_class_of(prediction.classes, confusion.tolist())
    looked["errors"] = len(wrong)
    looked["wrong"] = _erring(prediction, data, split, order[:MOST_ERRING])
    if not prediction.scores:
        looked["reliability"] = bins_of(reliability(prediction.values, targets))
    return looked


def _erring(prediction: Prediction, data: Dataset, split: str, chosen: np.ndarray) -> list[Erring]:
    """The examples at these positions in the part."""
    if not len(chosen):
        return []
    order = np.sort(chosen)  # what is read from a file is read in its order
    x = dict(zip(order.tolist(), getattr(data, split).x[order], strict=True))
    inputs = np.stack([x[position] for position in chosen.tolist()])
    offset = data.offset if inputs.dtype.kind == "f" else 0
    pictures = pictures_of(inputs)
    table = [cells_of(data.fitted.columns, row, offset) for row in inputs]
    entries = []
    for i, position in enumerate(chosen.tolist()):
        entry = _words(prediction, position)
        if files := data.files.get(split):
            entry["file"] = str(files[position])
        if pictures:
            entry["picture"] = pictures[i]
        elif data.fitted.columns:
            entry["cells"] = table[i]
        entries.append(entry)
    return entries


def _words(prediction: Prediction, position: int) -> Erring:
    """What an example is and what it is predicted to be."""
    assert prediction.targets is not None
    row = None if prediction.rows is None else int(prediction.rows[position])
    target, values = prediction.targets[position], prediction.values[position]
    if prediction.label_classes:
        return {"row": row, **_in_labels(prediction, target, values)}
    if not prediction.classes:
        return {"row": row, **_in_numbers(prediction, target, values)}
    label = int(values.argmax())
    entry: Erring = {
        "row": row, "target": prediction.classes[int(target)], "predicted": prediction.classes[label],
    }  # fmt: skip
    if not prediction.scores:
        entry["confidence"], entry["of_target"] = float(values[label]), float(values[int(target)])
    return entry


class _InLabels(TypedDict):
    target: str
    predicted: str


def _in_labels(prediction: Prediction, yes: np.ndarray, p: np.ndarray) -> _InLabels:
    """Those of several labels that are predicted wrongly: what they are, and how sure the prediction is."""
    entries = zip(prediction.of_targets, prediction.label_classes, yes > 0.5, p, strict=True)
    wrong = [
        (f"{name} {pair[int(is_there)]}", f"{name} {pair[1 - int(is_there)]} {max(share, 1 - share):.1%}")
        for name, pair, is_there, share in entries
        if is_there != (share > 0.5)
    ]
    texts = [", ".join(words) for words in zip(*wrong, strict=True)]
    return {"target": texts[0], "predicted": texts[1]}


class _InNumbers(TypedDict):
    target: str
    predicted: str
    error: str


def _in_numbers(prediction: Prediction, target: np.ndarray, values: np.ndarray) -> _InNumbers:
    """A target, what is predicted and the difference, with as many digits as show it; of several targets each."""
    pairs = [
        _in_digits(float(y), float(z))
        for y, z in zip(np.atleast_1d(target), np.atleast_1d(values), strict=True)
    ]
    names = [f"{name} " for name in prediction.of_targets] or [""]
    texts = [", ".join(name + pair[i] for name, pair in zip(names, pairs, strict=True)) for i in range(3)]
    return {"target": texts[0], "predicted": texts[1], "error": texts[2]}


def _in_digits(target: float, predicted: float) -> tuple[str, str, str]:
    error = predicted - target
    size = max(abs(target), abs(predicted))
    digits = 4 if not error else min(17, max(4, math.ceil(math.log10(size / abs(error))) + 3))
    return figure(target, digits), figure(predicted, digits), figure(error, 3, "+")
