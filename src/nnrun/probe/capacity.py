"""Whether the model can learn twenty examples by heart."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from nnrun.optimizer.adam import adam
from nnrun.probe.finding import Finding
from nnrun.probe.objective import objective_on, ready
from nnrun.types import Batch, Experiment, State, Tree

__all__ = ["check_capacity", "twenty"]

Traced = Any  # a scalar inside a program, in place of the number that a spec has

_EXAMPLES = 20
_RATES = (3e-3, 3e-2, 3e-4)  # of Adam, one after another until one of them does it
_STEPS, _AT_ONCE = 600, 25  # at each rate
_SECONDS = 12.0
_LEFT, _MUCH_LEFT = 0.05, 0.4  # of a regression's loss, of what it is for the mean of the targets
_RIGHT, _HARDLY = 0.99, 0.85  # of the labels


def check_capacity(experiment: Experiment, state: State) -> Finding:
    """Twenty examples, all in one batch, by Adam and without noise, augmentation and decay (Karpathy 2019).

    A model that cannot learn these by heart is too small, or something between its inputs and its loss is broken.
    """
    rows = twenty(experiment)
    batch = ready(experiment, rows)
    objective = objective_on(experiment, state.stats, batch)
    classifies = bool(experiment.dataset.classes or experiment.dataset.fitted.label_classes)
    run, outputs_of = _steps(experiment, state, batch), jax.jit(objective.outputs_of)
    began, best, done, steps_made = time.monotonic(), -np.inf, 0, 0
    for rate in _RATES:
        params, memory = state.params, adam(1.0).init(state.params)
        for step in range(0, _STEPS, _AT_ONCE):
            params, memory = run(params, memory, rate)
            score = _score(np.asarray(outputs_of(params), np.float64), batch, classifies)
            best, done = max(best, score), step + _AT_ONCE
            if best >= (_RIGHT if classifies else 1 - _LEFT):
                return _found(best, classifies, len(rows), done)
            if not steps_made:  # which has waited for the compilation
                began = time.monotonic()
            steps_made += _AT_ONCE
            if time.monotonic() - began > _SECONDS:
                return _slow(best, classifies, len(rows), steps_made)
    return _found(best, classifies, len(rows), done, _size(state))


def twenty(experiment: Experiment) -> np.ndarray:
    """Positions of twenty training examples with different inputs, as many of each class as may be."""
    train, classes = experiment.dataset.train, experiment.dataset.classes
    order = np.random.default_rng(0).permutation(len(train.y))[: 200 * _EXAMPLES]
    _, first = np.unique(train.x[order].reshape(len(order), -1), axis=0, return_index=True)
    order = order[np.sort(first)]
    if classes:
        turn = np.zeros(len(order), int)
        for label in np.unique(train.y[order]):
            where = np.flatnonzero(train.y[order] == label)
            turn[where] = np.arange(len(where))
        order = order[np.argsort(turn, kind="stable")]
    return np.sort(order[:_EXAMPLES])


def _steps(experiment: Experiment, state: State, batch: Batch) -> Callable[..., tuple[Tree, Tree]]:
    """(params, memory, rate) -> both after some steps of Adam."""
    objective = objective_on(experiment, state.stats, batch)

    @jax.jit
    def run(params: Tree, memory: Tree, rate: Traced) -> tuple[Tree, Tree]:
        def step(_: jax.Array, carry: tuple[Tree, Tree]) -> tuple[Tree, Tree]:
            params, memory = carry
            updates, memory = adam(rate).update(objective.gradient(params)[1], memory, params)
            return jax.tree.map(jnp.add, params, updates), memory

        return jax.lax.fori_loop(0, _AT_ONCE, step, (params, memory))

    return lambda params, memory, rate: run(params, memory, jnp.asarray(rate, float))


def _score(outputs: np.ndarray, batch: Batch, classifies: bool) -> float:
    """The share of labels that are right, or of the targets' spread that is explained; −inf where it diverged."""
    if not np.isfinite(outputs).all():
        return -np.inf
    targets = np.asarray(batch.y)
    if classifies and targets.ndim > 1:  # several labels
        return float(((outputs > 0) == (targets > 0.5)).mean())
    if classifies:
        return float((outputs.argmax(1) == targets).mean())
    spread = float(np.square(targets - targets.mean(0)).mean())
    return 1 - float(np.square(outputs.reshape(targets.shape) - targets).mean()) / max(spread, 1e-300)


def _size(state: State) -> int:
    return sum(leaf.size for leaf in jax.tree.leaves(state.params))


def _learned(best: float, classifies: bool, count: int) -> str:
    if classifies:
        return f"{best:.0%} of the labels of {count} examples right"
    return f"R² {best:.3f} on {count} examples"


def _slow(best: float, classifies: bool, count: int, steps: int) -> Finding:
    """That the machine is too slow for the model to say."""
    what = _learned(best, classifies, count)
    evidence = f"{what} after {steps} steps; more took too long here to say"
    return Finding("twenty examples", "skip", evidence, numbers={"score": None, "steps": steps})


def _found(best: float, classifies: bool, count: int, steps: int, parameters: int = 0) -> Finding:
    """parameters   of a model that did not learn them; 0: it did"""
    what = _learned(best, classifies, count)
    numbers = {"score": None if not np.isfinite(best) else best, "steps": steps}
    if not parameters:
        return Finding("twenty examples", "pass", f"{what} after {steps} steps of Adam", numbers=numbers)
    remedy = (
        "give the model more units or layers; if it is large, something between inputs and loss is broken"
    )
    limit = _HARDLY if classifies else 1 - _MUCH_LEFT
    verdict = "fail" if best < limit else "warn"
    evidence = f"{what} at best, with Adam at {len(_RATES)} rates; {parameters:,} parameters"
    return Finding("twenty examples", verdict, evidence, remedy, numbers)
