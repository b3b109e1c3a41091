"""What metrics are where nothing is learned: the largest class, or the mean of the training targets, for everything."""

from __future__ import annotations

import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from nnrun.statistics.metric import of_target
from nnrun.training.columns import column_names
from nnrun.training.predictions import targets_of
from nnrun.types import Dataset, Experiment, Loss

__all__ = ["baseline", "baseline_of", "class_counts", "constant", "constant_loss", "few_examples"]

_FEW = 10  # examples of a class in a part: of fewer, metrics say little
_SOME = 4096  # examples
_RELATIVE = ("loss", "r2")  # what is in other units, and what is itself a comparison with a constant


def constant(experiment: Experiment) -> str:
    """The prediction that is compared with, in words."""
    dataset = experiment.dataset
    return "largest class" if dataset.classes or dataset.fitted.label_classes else "training mean"


def baseline(experiment: Experiment, part: str) -> dict[str, float]:
    """Metrics of a constant prediction for train, val or test; {} where the part is empty.

    Of classes the accuracy of predicting the largest class of the part, of several labels that of each.  Of numbers the
    metrics of predicting the mean of the training targets; those that have no value are left out.  To be used within
    the precision of the run.
    """
    return baseline_of(experiment, targets_of(experiment.dataset, part), getattr(experiment.dataset, part).y)


def constant_loss(experiment: Experiment) -> float:
    """The loss, on the training part, of outputs of 0: of classes that are all equally likely, of mean targets.

    Of some thousand examples.  To be used within the precision of the run.
    """
    dataset, loss = experiment.dataset, experiment.loss(experiment.knobs)
    targets = dataset.train.y[:: 1 + len(dataset.train.y) // _SOME]
    outputs = _constant_outputs(loss, len(targets), dataset.fitted.outputs)
    return float(loss.metrics(_means(loss, outputs, targets))["loss"])


def _constant_outputs(loss: Loss, examples: int, outputs: int) -> np.ndarray:
    """(examples, outputs): what predicts the mean of the training targets, standardised."""
    return np.full((examples, outputs), 1.0 if loss.positive else 0.0, jnp.result_type(float))


def _means(loss: Loss, outputs: np.ndarray, targets: np.ndarray) -> dict[str, float]:
    """The terms of a loss, averaged over examples, by name; one program, since each run pays for it at its end."""
    kind = outputs.dtype if targets.dtype.kind == "f" else targets.dtype
    terms = jax.jit(loss.terms)(outputs, targets.astype(kind))
    means = np.concatenate(
        [np.asarray(terms[name], np.float64).mean(0).reshape(-1) for name in sorted(terms)]
    )
    return dict(zip(column_names(terms, axes=1), means.tolist(), strict=True))


def baseline_of(experiment: Experiment, targets: np.ndarray, standardised: np.ndarray) -> dict[str, float]:
    """The same for examples with these targets (n,) or (n, k), which the loss takes as `standardised`."""
    dataset, loss = experiment.dataset, experiment.loss(experiment.knobs)
    if not len(targets):
        return {}
    if loss.classifies:
        return {"accuracy": _of_largest(loss, targets, len(dataset.classes))}
    if loss.binary:
        return _of_largest_labels(loss, targets, dataset.fitted.targets)
    mean = _constant_outputs(loss, len(targets), dataset.fitted.outputs)
    averages = _means(loss, mean, standardised)
    predictions = dataset.fitted.to_units(np.asarray(mean, np.float64))
    metrics = loss.metrics(averages)
    for name, measure in loss.measures.items():
        means = measure.each(predictions, targets).mean(0)
        metrics[name] = (
            measure.of_all(predictions, targets) if measure.terms is None else measure.of_averages(means)
        )
    return {
        name: value
        for name, value in metrics.items()
        if name.partition("(")[0] not in _RELATIVE and math.isfinite(value)
    }


def _of_largest(loss: Loss, targets: np.ndarray, classes: int) -> float:
    """The accuracy of predicting the largest class; by the metric of that name where the spec has one of its own."""
    counts = np.bincount(targets, minlength=classes)
    measure = loss.measures.get("accuracy")
    if measure is None:
        return float(counts.max() / len(targets))
    predictions = np.tile(np.eye(classes)[counts.argmax()], (len(targets), 1))
    if measure.terms is None:
        return measure.of_all(predictions, targets)
    return measure.of_averages(measure.each(predictions, targets).mean(0))


def _of_largest_labels(loss: Loss, targets: np.ndarray, names: Sequence[str]) -> dict[str, float]:
    """Of several labels (n, k): the accuracy of each, their mean, and exact_match; by metrics of the spec's own."""
    largest = (targets.mean(0) > 0.5).astype(np.float64)
    right = targets == largest
    accuracies = {
        of_target("accuracy", name): float(share) for name, share in zip(names, right.mean(0), strict=True)
    }
    known = {"accuracy": float(right.mean()), "exact_match": float(right.all(1).mean()), **accuracies}
    predictions = np.tile(largest, (len(targets), 1))
    for name, measure in loss.measures.items():
        if name in known:
            means = measure.each(predictions, targets).mean(0)
            whole = measure.terms is None
            known[name] = measure.of_all(predictions, targets) if whole else measure.of_averages(means)
    return known


def few_examples(dataset: Dataset) -> dict[str, dict[str, int]]:
    """The classes that a part has fewer than ten examples of, or none: name -> part -> how many.

    Of several labels `height: yes` is a class of the label height.
    """
    few: dict[str, dict[str, int]] = {}
    for part in ("train", "val", "test"):
        for name, count in class_counts(dataset, getattr(dataset, part).y).items():
            if count < _FEW:
                few.setdefault(name, {})[part] = count
    return {name: few[name] for name in _class_names(dataset) if name in few}


def _class_names(dataset: Dataset) -> list[str]:
    fitted = dataset.fitted
    pairs = zip(fitted.targets, fitted.label_classes, strict=False)
    return [*dataset.classes, *(f"{target}: {name}" for target, pair in pairs for name in pair)]


def class_counts(dataset: Dataset, y: np.ndarray) -> dict[str, int]:
    """How many examples of each class there are among these targets; {} of none, and of numbers.

    Of several labels `height: yes` is a class of the label height.
    """
    if not len(y):
        return {}
    if dataset.classes:
        counts = np.bincount(y, minlength=len(dataset.classes))
    elif dataset.fitted.label_classes:
        yes = y.astype(np.int64).sum(0)
        counts = np.stack([len(y) - yes, yes], axis=1).reshape(-1)
    else:
        return {}
    return dict(zip(_class_names(dataset), counts.tolist(), strict=True))
