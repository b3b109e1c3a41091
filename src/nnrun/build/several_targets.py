"""Several targets: the loss and the metrics of one, for each of them and as the mean over all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import jax.numpy as jnp
import numpy as np
from jax import Array

from nnrun.statistics.measure import Measure, Undefined
from nnrun.statistics.metric import of_target
from nnrun.types import Loss

__all__ = ["loss_of_targets", "measures_of_targets"]


def loss_of_targets(losses: Sequence[Loss], names: Sequence[str]) -> Loss:
    """The mean over targets of a loss: L = (1/k) Σⱼ Lⱼ(zⱼ, yⱼ), of outputs z (n, k) and targets y (n, k).

    losses   of each target, which differ in its units alone
    names    of the targets
    A metric is the mean over targets, as scikit-learn's `uniform_average`; beside it stands that of each target, as
    `rmse(height)`.  The loss judges: it is standardised, so that no target counts more for its units.
    """
    first, count = losses[0], len(losses)

    def averaged(function, outputs: Array, targets: Array) -> Array:
        values = [function(loss)(outputs[:, j : j + 1], targets[:, j]) for j, loss in enumerate(losses)]
        return jnp.stack(values).sum(0) / count

    def value(outputs, targets):
        return averaged(lambda loss: loss.value, outputs, targets)

    def weight(outputs, targets):
        width = jnp.zeros((len(outputs), count), outputs.dtype)  # of outputs, only the type counts
        return averaged(lambda loss: loss.weight, width, targets)

    def terms(outputs, targets):
        known: dict[str, Array] = {}
        for j, loss in enumerate(losses):
            of_loss = loss.terms(outputs[:, j : j + 1], targets[:, j])
            known |= {f"{name}_{j}": term for name, term in of_loss.items()}
        return known | {"loss": jnp.stack([known[f"loss_{j}"] for j in range(count)]).sum(0) / count}

    def metrics(mean):
        parts: list[dict[str, float]] = [{} for _ in losses]
        for key, number in mean.items():
            name, _, j = key.rpartition("_")
            if name:  # "loss" is the mean that is watched while training
                parts[int(j)][name] = number
        return _with_means([loss.metrics(part) for loss, part in zip(losses, parts, strict=True)], names)

    bounds = {of_target(name, target): ends for name, ends in first.bounds.items() for target in names}
    rising = [of_target(name, target) for name in first.rising for target in names]
    return first._replace(
        value=value, terms=terms, metrics=metrics, judge="loss", rising=(*first.rising, *rising),
        bounds={**first.bounds, **bounds}, weight=None if first.weight is None else weight,
    )  # fmt: skip


def _with_means(metrics: Sequence[Mapping[str, float]], names: Sequence[str]) -> dict[str, float]:
    """The mean of each metric over targets, and that of each target."""
    means = {name: _mean([part[name] for part in metrics], names) for name in metrics[0]}
    each = {
        of_target(name, target): part[name]
        for name in metrics[0]
        for target, part in zip(names, metrics, strict=True)
    }
    return means | each


def _mean(values: Sequence[float], names: Sequence[str]) -> float:
    """The mean over targets; Undefined where one of them has no value."""
    for name, value in zip(names, values, strict=True):
        if isinstance(value, Undefined):
            return Undefined(f"of {name}, {value.reason}")
    return float(np.mean(values))


def measures_of_targets(name: str, measures: Sequence[Measure], targets: Sequence[str]) -> dict[str, Measure]:
    """A metric of one target as the mean over several, and of each of them, by name.

    measures   of each target
    targets    their names
    Predictions and targets are (n, k).
    """
    each = {
        of_target(name, target): _of_column(measure, j)
        for j, (target, measure) in enumerate(zip(targets, measures, strict=True))
    }
    return {name: _mean_of(measures, targets)} | each


def _of_column(measure: Measure, j: int) -> Measure:
    """The metric of the target j."""
    terms = measure.terms
    if terms is None:
        return measure._replace(value=lambda z, y: measure.value(z[:, j], y[:, j]))
    return measure._replace(terms=lambda z, y: measure._replace(terms=terms).each(z[:, j], y[:, j]))


def _mean_of(measures: Sequence[Measure], targets: Sequence[str]) -> Measure:
    first = measures[0]
    if first.terms is None:
        return first._replace(
            value=lambda z, y: _mean(
                [measure.of_all(z[:, j], y[:, j]) for j, measure in enumerate(measures)], targets
            )
        )

    def terms(z, y):
        return np.concatenate([measure.each(z[:, j], y[:, j]) for j, measure in enumerate(measures)], axis=1)

    def value(averages):
        parts = np.split(averages, len(measures))  # every target has as many terms
        return _mean(
            [measure.of_averages(part) for measure, part in zip(measures, parts, strict=True)], targets
        )

    return first._replace(value=value, terms=terms)
