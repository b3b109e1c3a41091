"""How good predictions are: terms of each example, of which metrics are made, and metrics that need all at once."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from nnrun.statistics.gain import resampled_rows
from nnrun.statistics.measure import Measure
from nnrun.statistics.metric import Metric, metric_of
from nnrun.training.columns import column_names
from nnrun.training.compiling import compiled
from nnrun.training.predictions import predictions_of
from nnrun.types import Dataset, Experiment, Loss

__all__ = ["Judge", "make_judge"]

_ROWS = 4096  # predictions at a time
_FIXED = 700  # predictions that take as long as what a metric does once


class Judge(NamedTuple):
    """The loss of a run and the metrics that its spec asks for, on the host.

    names   of the loss's terms
    rows    how many terms there are in all: behind those of the loss come those of the metrics
    """

    loss: Loss
    names: tuple[str, ...]
    program: jax.stages.Compiled
    width: int
    dataset: Dataset
    rows: int

    def metric(self, name: str) -> Metric:
        """The metric of this name, with its direction."""
        return metric_of(name, self.loss.rising, self.loss.bounds)

    def terms(self, outputs: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """(n, width), (n,) labels, or (n,) or (n, k) numbers in their own units, -> (terms, n) float64."""
        result = np.empty((self.rows, len(outputs)))
        for start in range(0, len(outputs), _ROWS):
            rows = slice(start, start + _ROWS)
            count = len(outputs[rows])
            padding = [(0, _ROWS - count)]
            z = np.pad(np.asarray(outputs[rows], jnp.zeros(()).dtype), [*padding, (0, 0)])
            y = self.standardised(targets[rows])
            scored = np.asarray(self.program(z, np.pad(y, [*padding, *[(0, 0)] * (y.ndim - 1)])))
            result[: len(self.names), rows] = scored[:, :count]
            if self.rows > len(self.names):
                predictions = predictions_of(outputs[rows], self.loss, self.dataset)
                terms = [measure.each(predictions, targets[rows]) for measure in self.loss.measures.values()]
                result[len(self.names) :, rows] = np.concatenate(terms, axis=1).T
        return result

    def standardised(self, targets: np.ndarray) -> np.ndarray:
        """Targets (n,) or (n, k) as the loss takes them, to the same bits as in training."""
        if targets.dtype.kind == "i":
            return targets
        return self.dataset.fitted.from_units(targets).astype(jnp.zeros(()).dtype)

    def measured(self, outputs: np.ndarray, targets: np.ndarray) -> dict[str, float]:
        """(n, width), (n,) -> metrics."""
        return self.metrics(self.terms(outputs, targets).mean(1)) | self.collected(outputs, targets)

    def collected(self, outputs: np.ndarray, targets: np.ndarray) -> dict[str, float]:
        """(n, width), (n,) -> those metrics that are not made of terms."""
        whole = {name: measure for name, measure in self.loss.measures.items() if measure.terms is None}
        if not whole:
            return {}
        predictions = predictions_of(outputs, self.loss, self.dataset)
        return {name: measure.of_all(predictions, targets) for name, measure in whole.items()}

    def resampled(
        self,
        outputs: Sequence[np.ndarray],
        targets: np.ndarray,
        count: int,
        least: int,
        most: float,
        tick: Callable[[], None] = lambda: None,
    ) -> dict[str, np.ndarray]:
        """Those metrics that are not made of terms, in bootstrap samples of the examples: each (samples, predictors).

        outputs   (n, width) of each predictor
        count     samples; fewer, but no fewer than `least`, where that is much work, and {} where it is too much
        most      predictions that metrics go through, at most; 1e8 take some twenty seconds
        tick      called after each sample
        A sample without a value is NaN.
        """
        whole = {name: measure for name, measure in self.loss.measures.items() if measure.terms is None}
        work = len(outputs) * (len(targets) + _FIXED) * self.width * len(whole)
        samples = min(count, int(most / work)) if work else 0
        if samples < least:
            return {}
        predictions = [predictions_of(values, self.loss, self.dataset) for values in outputs]
        result = {name: np.empty((samples, len(outputs))) for name in whole}
        for i, rows in enumerate(resampled_rows(len(targets), samples)):
            for name, measure in whole.items():
                result[name][i] = [_value_or_nan(measure, p[rows], targets[rows]) for p in predictions]
            tick()
        return result

    def metrics(self, means: np.ndarray) -> dict[str, float]:
        """Means of the terms (terms,) -> those metrics that are made of them."""
        result = self.loss.metrics(dict(zip(self.names, means[: len(self.names)].tolist(), strict=True)))
        start = len(self.names)
        for name, measure in self.loss.measures.items():
            if measure.terms is not None:
                stop = start + _terms_of(measure, self.dataset)
                result[name], start = measure.of_averages(means[start:stop]), stop
        return result

    def table(self, means: np.ndarray) -> dict[str, np.ndarray]:
        """Means (..., terms) -> metrics, each (...)."""
        flat = [self.metrics(row) for row in means.reshape(-1, means.shape[-1])]
        return {
            name: np.array([metrics[name] for metrics in flat]).reshape(means.shape[:-1]) for name in flat[0]
        }


def _value_or_nan(measure: Measure, predictions: np.ndarray, targets: np.ndarray) -> float:
    """The value of a metric for a sample of a part, for which one of the user's own may fail as it does for no part."""
    try:
        return measure.of_all(predictions, targets)
    except Exception:
        return math.nan


def make_judge(experiment: Experiment) -> Judge:
    """The loss of an experiment, compiled.  To be used within its precision."""
    loss = experiment.loss(experiment.knobs)
    width = experiment.dataset.fitted.outputs
    names: list[str] = []

    def terms(outputs, targets):
        values = loss.terms(outputs, targets)
        names[:] = column_names(values, axes=1)
        return jnp.concatenate([jnp.atleast_2d(values[name].T) for name in sorted(values)])

    like = experiment.dataset.test.y
    kind = np.dtype(np.int32) if like.dtype.kind == "i" else jnp.zeros(()).dtype
    outputs = jax.ShapeDtypeStruct((_ROWS, width), jnp.zeros(()).dtype)
    program = compiled(jax.jit(terms).lower(outputs, jax.ShapeDtypeStruct((_ROWS, *like.shape[1:]), kind)))
    count = len(names) + sum(_terms_of(measure, experiment.dataset) for measure in loss.measures.values())
    return Judge(loss, tuple(names), program, width, experiment.dataset, count)


def _terms_of(measure: Measure, dataset: Dataset) -> int:
    """How many terms a metric has."""
    classes, targets = len(dataset.classes), len(dataset.fitted.targets)
    numbers = np.zeros((1, targets) if targets else 1)
    predictions = np.full((1, classes), 1 / classes) if classes else numbers
    return measure.each(predictions, np.zeros(1, np.int32) if classes else numbers).shape[1]
