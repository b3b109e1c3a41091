"""Several targets, numbers or labels: the loss and the metrics of one, for each of them and as the mean over all."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from nnrun.statistics.measure import Measure
from nnrun.statistics.metric import SHARE, Undefined, of_target
from nnrun.types import Loss, Tree

__all__ = ["loss_of_targets", "measures_of_targets"]

_EXACT = "exact_match"
_EACH = "each_"  # before the name of a term (n, k) of all targets


def loss_of_targets(losses: Sequence[Loss], names: Sequence[str], alike: bool = False) -> Loss:
    """The mean over targets of a loss: L = (1/k) Σⱼ Lⱼ(zⱼ, yⱼ), of outputs z (n, k) and targets y (n, k).

    losses   of each target, which differ in its units alone
    names    of the targets
    alike    whether value, terms and weight do not depend on the unit, so that one computation serves all targets
    A metric is the mean over targets, as scikit-learn's `uniform_average`; beside it stands that of each target, as
    `rmse(height)`.  The loss judges: it is standardised, so that no target counts more for its units.  Of labels,
    which have an accuracy each, exact_match is the share of examples of which all are right.
    """
    first = losses[0]

    def of_each(function: Callable[[Loss], Callable[..., Tree]], outputs: Array, targets: Array) -> Tree:
        """function(loss)(zⱼ, yⱼ) for each target j: arrays (n, k)."""
        if alike:
            column = partial(_of_column_of_outputs, function(first))
            return jax.vmap(column, in_axes=1, out_axes=1)(outputs, targets)
        values = [function(loss)(outputs[:, j : j + 1], targets[:, j]) for j, loss in enumerate(losses)]
        return jax.tree.map(lambda *columns: jnp.stack(columns, axis=1), *values)

    def value(outputs, targets):
        return of_each(lambda loss: loss.value, outputs, targets).mean(1)

    def weight(outputs, targets):
        width = jnp.zeros((len(outputs), len(losses)), outputs.dtype)  # of outputs, only the type counts
        return of_each(lambda loss: loss.weight or loss.value, width, targets).mean(1)

    def terms(outputs, targets):
        known = of_each(lambda loss: loss.terms, outputs, targets)
        whole = {"loss": known["loss"].mean(1)}
        if first.binary and "accuracy" in known:
            whole[_EXACT] = known["accuracy"].min(1)
        return {_EACH + name: term for name, term in known.items()} | whole

    def metrics(mean):
        parts: list[dict[str, float]] = [{} for _ in losses]
        for key, number in mean.items():
            if key.startswith(_EACH):  # beside which stands the mean loss, which is watched while training
                name, _, j = key.removeprefix(_EACH).rpartition("_")
                parts[int(j)][name] = number
        of_losses = [loss.metrics(part) for loss, part in zip(losses, parts, strict=True)]
        return _with_means(of_losses, names) | {name: mean[name] for name in (_EXACT,) if name in mean}

    bounds = {of_target(name, target): ends for name, ends in first.bounds.items() for target in names}
    rising = [of_target(name, target) for name in first.rising for target in names]
    if first.binary:
        rising, bounds = [*rising, _EXACT], {**bounds, _EXACT: SHARE}
    return first._replace(
        value=value, terms=terms, metrics=metrics, judge="loss", rising=(*first.rising, *rising),
        bounds={**first.bounds, **bounds}, weight=None if first.weight is None else weight,
    )  # fmt: skip


def _of_column_of_outputs(function: Callable[..., Tree], outputs: Array, targets: Array) -> Tree:
    """What a function of outputs (n, 1) and targets (n,) gives for one column (n,) of outputs."""
    return function(outputs[:, None], targets)


def _with_means(metrics: Sequence[Mapping[str, float]], names: Sequence[str]) -> dict[str, float]:
    """The mean of each metric over targets, and that of each target."""
    means = {name: _mean([part[name] for part in metrics], names) for name in metrics[0]}
    of_each = {
        of_target(name, target): part[name]
        for name in metrics[0]
        for target, part in zip(names, metrics, strict=True)
    }
    return means | of_each


def _mean(values: Sequence[float], names: Sequence[str]) -> float:
    """The mean over targets; Undefined where some of them have no value, with the names of all these."""
    lacking: dict[str, list[str]] = {}  # why -> the targets
    for name, value in zip(names, values, strict=True):
        if isinstance(value, Undefined):
            lacking.setdefault(value.reason, []).append(name)
    if lacking:
        return Undefined(
            "; ".join(f"of {', '.join(targets)}, {reason}" for reason, targets in lacking.items())
        )
    return float(np.mean(values))


# predictions and targets (n, k), j -> those of the target j, as a metric of one target takes them
OfTarget = Callable[[np.ndarray, np.ndarray, int], tuple[np.ndarray, np.ndarray]]


def measures_of_targets(
    name: str, measures: Sequence[Measure], targets: Sequence[str], binary: bool = False
) -> dict[str, Measure]:
    """A metric of one target as the mean over several, and of each of them, by name.

    measures   of each target
    targets    their names
    binary     whether they are labels of two classes, 0 and 1, and predictions the probabilities of 1
    Predictions and targets are (n, k).
    """
    column = _as_classes if binary else _as_numbers
    of_each = {
        of_target(name, target): _of_column(measure, j, column)
        for j, (target, measure) in enumerate(zip(targets, measures, strict=True))
    }
    return {name: _mean_of(measures, targets, column)} | of_each


def _as_numbers(predictions: np.ndarray, targets: np.ndarray, j: int) -> tuple[np.ndarray, np.ndarray]:
    return predictions[:, j], targets[:, j]


def _as_classes(predictions: np.ndarray, targets: np.ndarray, j: int) -> tuple[np.ndarray, np.ndarray]:
    """The probabilities (n, 2) of both classes of a label, and the labels (n,) int32."""
    p = predictions[:, j]
    return np.stack([1 - p, p], axis=1), targets[:, j].astype(np.int32)


def _of_column(measure: Measure, j: int, column: OfTarget) -> Measure:
    """The metric of the target j."""
    terms = measure.terms
    if terms is None:
        return measure._replace(value=lambda z, y: measure.value(*column(z, y, j)))
    return measure._replace(terms=lambda z, y: measure._replace(terms=terms).each(*column(z, y, j)))


def _mean_of(measures: Sequence[Measure], targets: Sequence[str], column: OfTarget) -> Measure:
    first = measures[0]
    if first.terms is None:
        return first._replace(
            value=lambda z, y: _mean(
                [measure.of_all(*column(z, y, j)) for j, measure in enumerate(measures)], targets
            )
        )

    def terms(z, y):
        return np.concatenate([measure.each(*column(z, y, j)) for j, measure in enumerate(measures)], axis=1)

    def value(averages):
        parts = np.split(averages, len(measures))  # every target has as many terms
        return _mean(
            [measure.of_averages(part) for measure, part in zip(measures, parts, strict=True)], targets
        )

    return first._replace(value=value, terms=terms)
