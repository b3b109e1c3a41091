"""How good predictions are: the loss's terms of each example, of which metrics are made."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from nnrun.statistics.metric import Metric, metric_of
from nnrun.training.compiling import compiled
from nnrun.types import Experiment, Loss

__all__ = ["Judge", "make_judge"]

_ROWS = 4096  # predictions at a time


class Judge(NamedTuple):
    """The loss of a run, on the host.

    names   of its terms
    """

    loss: Loss
    names: tuple[str, ...]
    program: jax.stages.Compiled
    width: int

    def metric(self, name: str) -> Metric:
        """The metric of this name, with its direction."""
        return metric_of(name, self.loss.rising, self.loss.shares)

    def terms(self, outputs: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """(n, width), (n,) labels, or standardised numbers in the precision of now, -> (terms, n) float64."""
        result = np.empty((len(self.names), len(outputs)))
        for start in range(0, len(outputs), _ROWS):
            rows = slice(start, start + _ROWS)
            count = len(outputs[rows])
            padding = [(0, _ROWS - count)]
            z = np.pad(np.asarray(outputs[rows], jnp.zeros(()).dtype), [*padding, (0, 0)])
            scored = np.asarray(self.program(z, np.pad(targets[rows], padding)))
            result[:, rows] = scored[:, :count]
        return result

    def measured(self, outputs: np.ndarray, targets: np.ndarray) -> dict[str, float]:
        """(n, width), (n,) -> metrics."""
        return self.metrics(self.terms(outputs, targets).mean(1))

    def metrics(self, means: np.ndarray) -> dict[str, float]:
        """Means of the terms (terms,) -> metrics."""
        return self.loss.metrics(dict(zip(self.names, means.tolist(), strict=True)))

    def table(self, means: np.ndarray) -> dict[str, np.ndarray]:
        """Means (..., terms) -> metrics, each (...)."""
        flat = [self.metrics(row) for row in means.reshape(-1, means.shape[-1])]
        return {
            name: np.array([metrics[name] for metrics in flat]).reshape(means.shape[:-1]) for name in flat[0]
        }


def make_judge(experiment: Experiment) -> Judge:
    """The loss of an experiment, compiled.  To be used within its precision."""
    loss = experiment.loss(experiment.knobs)
    width = len(experiment.dataset.classes) or 1
    names: list[str] = []

    def terms(outputs, targets):
        values = loss.terms(outputs, targets)
        names[:] = sorted(values)
        return jnp.stack([values[name] for name in names])

    like = experiment.dataset.test.y
    kind = np.dtype(np.int32) if like.dtype.kind == "i" else jnp.zeros(()).dtype
    outputs = jax.ShapeDtypeStruct((_ROWS, width), jnp.zeros(()).dtype)
    program = compiled(jax.jit(terms).lower(outputs, jax.ShapeDtypeStruct((_ROWS,), kind)))
    return Judge(loss, tuple(names), program, width)
