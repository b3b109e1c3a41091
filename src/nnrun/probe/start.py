"""Checks of the model before its first step: its loss, and the size of what goes through its layers."""

from __future__ import annotations

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import Array

from nnrun.amounts import figure
from nnrun.layer._watched import Passage, watching
from nnrun.probe.finding import Finding, graded, some_of
from nnrun.probe.objective import constant_loss, objective_on
from nnrun.types import Batch, Experiment, State, Tree

__all__ = ["check_activations", "check_start", "make_look"]

_HIGH, _TOO_HIGH = 1.5, 5.0  # above the loss of a constant prediction, in units of it
_LARGE, _SMALL = 50.0, 0.01  # size of what a layer puts out, where what goes into the model has size 1


def check_start(experiment: Experiment, state: State, batch: Batch) -> Finding:
    """Whether the first loss is about that of a model that knows nothing: ln(classes), or the variance."""
    objective = objective_on(experiment, state.stats, batch)
    loss = float(jax.jit(objective.whole)(state.params)[0])
    nothing = constant_loss(experiment, objective, batch)
    numbers = {"loss": loss, "constant": nothing}
    classes = 2 if experiment.dataset.fitted.label_classes else len(experiment.dataset.classes)
    what = "of equal scores" if classes else "of predicting the mean"
    if classes and math.isclose(nothing, math.log(classes), rel_tol=1e-3):
        what = f"ln {classes}"
    evidence = f"{figure(loss)}, where a model that knows nothing has {figure(nothing)} ({what})"
    remedy = (
        "initial weights are too large, or inputs are; an output layer with smaller ones begins at that value"
    )
    if not math.isfinite(loss):
        remedy = (
            "look at the inputs, the initial weights and the loss: something overflows before the first step"
        )
        return Finding("initial loss", "fail", f"the loss is {loss} before the first step", remedy, numbers)
    scale = max(abs(nothing), 0.5)
    verdict = graded((loss - nothing) / scale, _HIGH, _TOO_HIGH)
    return Finding("initial loss", verdict, evidence, "" if verdict == "pass" else remedy, numbers)


def make_look(experiment: Experiment, batch: Batch) -> Callable[[State], list[Passage]]:
    """A function state -> what goes through the layers, innermost only.

    It is [] for a module of another library, which hides its layers.
    """
    places: list[Passage] = []

    @jax.jit
    def run(state: State) -> list[Tree]:
        with watching() as seen:
            experiment.model(state.knobs).apply(state.params, state.stats, batch.x, None, batch.weight)
        places[:] = [passage for passage in seen if not passage.composed]
        return [(passage.params, passage.stats, passage.x, passage.y) for passage in places]

    def look(state: State) -> list[Passage]:
        arrays = run(state)
        return [
            passage._replace(params=params, stats=stats, x=x, y=y)
            for passage, (params, stats, x, y) in zip(places, arrays, strict=True)
        ]

    return look


def check_activations(batch: Batch, seen: list[Passage]) -> Finding:
    """Whether what goes through the layers keeps its size, so that neither it nor its gradient dies out or explodes.

    He et al. 2015: with weights of variance 2 / inputs before a relu, and 1 / inputs elsewhere, it does.
    """
    if not seen:
        return Finding("initial scale", "skip", "the layers of this model cannot be looked into")
    size = max(_size(batch.x), 1e-300)
    sizes = [("/".join(passage.path), _size(passage.y) / size) for passage in seen]
    inner = sizes[:-1] or sizes  # an output layer may begin small
    (low_name, low), (high_name, high) = (choose(inner, key=lambda entry: entry[1]) for choose in (min, max))
    numbers = {"smallest": low, "largest": high}
    ends = f"{figure(low, 3)} ({low_name}) to {figure(high, 3)} ({high_name})"
    evidence = f"root mean square behind layers from {ends} of the inputs'"
    remedy = (
        "choose initial weights for the activation (he_normal for relu, glorot or lecun for tanh), or a norm"
    )
    bad = [name for name, of_layer in inner if not _SMALL <= of_layer <= _LARGE]
    if bad:
        return Finding(
            "initial scale",
            "fail",
            f"{evidence}; beyond {_SMALL} to {_LARGE:g}: {some_of(bad)}",
            remedy,
            numbers,
        )
    return Finding("initial scale", "pass", evidence, numbers=numbers)


def _size(a: Array) -> float:
    return float(jnp.sqrt(jnp.mean(jnp.square(a.astype(float)))))
