"""How good predictions are: the loss's terms of each example, of which metrics, intervals and curves are made."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from nnrun.ensemble.average import Combiner
from nnrun.ensemble.models import Model
from nnrun.ensemble.predict import Predicted
from nnrun.statistics.metric import Metric, metric_of
from nnrun.training.compiling import compiled
from nnrun.types import Loss

__all__ = ["Judge", "Scored", "best_first", "make_judge", "score", "single"]

_ROWS = 4096  # predictions at a time
_NUMBERS = 1 << 22  # of the predictions of subsets that are held at a time


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
        """(n, width), (n,) as `Model.targets` gives them -> (terms, n) float64."""
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

    def of_subsets(
        self,
        average: Combiner,
        outputs: Sequence[np.ndarray],
        weights: Sequence[float],
        chosen: Sequence[tuple[int, ...]],
        targets: np.ndarray,
        tick: Callable[[], None],
    ) -> np.ndarray:
        """Means of the terms (subsets, terms) of the ensembles of some members each, a few examples at a time.

        tick   called after each of them
        """
        shares = np.zeros((len(chosen), len(outputs)))
        for row, members in zip(shares, chosen, strict=True):
            row[list(members)] = np.asarray(weights)[list(members)]
            # Members of no weight are as good as each other.
            row[list(members)] = row[list(members)] / row.sum() if row.sum() > 0 else 1 / len(members)
        sums = np.zeros((len(chosen), len(self.names)))
        rows = max(1, _NUMBERS // (max(len(chosen), len(outputs)) * self.width))
        for start in range(0, len(targets), rows):
            values = np.stack(
                [average.values(member_outputs[start : start + rows]) for member_outputs in outputs]
            )
            means = np.tensordot(shares, values, 1)
            part = targets[start : start + rows]
            flat = average.outputs(means).reshape(-1, self.width)
            scored = self.terms(flat, np.tile(part, len(chosen)))
            sums += scored.reshape(len(self.names), len(chosen), -1).sum(2).T
            tick()
        return sums / len(targets)


def make_judge(model: Model) -> Judge:
    """The loss of a model, compiled.  To be used within the model's precision."""
    experiment = model.experiment
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


class Scored(NamedTuple):
    """The members' predictions, and how good each member is alone.

    terms    part of the data -> the loss's terms of every member on every example, (members, terms, n)
    metrics  part -> the metrics of each member
    by       the metric that chooses the best member
    order    positions of the members, the best on validation first; None: nothing was held out
    """

    predicted: Predicted
    judge: Judge
    terms: dict[str, np.ndarray]
    metrics: dict[str, list[dict[str, float]]]
    by: str
    order: list[int] | None

    @property
    def model(self) -> Model:
        """The model of the first member."""
        return self.predicted.model


def score(predicted: Predicted, how: str) -> Scored:
    """Judges every member on every part of the data.  To be used within the model's precision.

    how   the average: members are judged by the same arithmetic
    """
    model = predicted.model
    judge, combiner = make_judge(model), single(how, model.classifies)
    terms: dict[str, np.ndarray] = {}
    for part in predicted.parts:
        targets = model.targets(part)
        means = (combiner.mean([outputs], [1.0]) for outputs in predicted.outputs(part))
        terms[part] = np.stack([judge.terms(combiner.outputs(mean), targets) for mean in means])
    metrics = {part: [judge.metrics(means) for means in values.mean(2)] for part, values in terms.items()}
    chosen = (model.experiment.plan.judge or "").removeprefix("val/")
    by = chosen if chosen in metrics[predicted.parts[0]][0] else judge.loss.judge
    order = best_first(metrics["val"], judge.metric(by)) if "val" in metrics else None
    return Scored(predicted, judge, terms, metrics, by, order)


def single(how: str, classifies: bool) -> Combiner:
    """The ensemble of one that has the bits of its member's share in an average."""
    return Combiner("logits" if how == "logits" else "probabilities", 1, classifies)


def best_first(metrics: Sequence[Mapping[str, float]], metric: Metric) -> list[int]:
    """Positions of the members, the best by a metric first; the loss decides between equal ones."""
    return sorted(
        range(len(metrics)), key=lambda i: (-metric.sign * metrics[i][metric.name], metrics[i]["loss"], i)
    )
