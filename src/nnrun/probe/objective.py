"""The objective of a spec on some of its training examples, without noise, augmentation and penalties."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np

from nnrun.probe.sample import batch_of
from nnrun.training.objective import StepContext, make_objective
from nnrun.training.step import initial_state, normalise
from nnrun.types import Batch, Experiment, Objective, State, Tree

__all__ = ["beginning", "compiled_quickly", "constant_loss", "objective_on", "ready"]


@contextlib.contextmanager
def compiled_quickly() -> Iterator[None]:
    """A context in which programs are compiled without optimizations.

    Those of a check that run a few times take longer to compile than to run: the initial weights of a ResNet, 20 s.
    """
    before = jax.config.values["jax_disable_most_optimizations"]
    jax.config.update("jax_disable_most_optimizations", True)
    try:
        yield
    finally:
        jax.config.update("jax_disable_most_optimizations", before)


def ready(experiment: Experiment, rows: np.ndarray) -> Batch:
    """These examples of the training part as the model and the loss want them."""
    batch = batch_of(experiment.dataset, rows)
    x, y = normalise(experiment, batch)
    return Batch(x, y, batch.weight)


def objective_on(experiment: Experiment, stats: Tree, batch: Batch) -> Objective:
    """The mean loss of a batch as a function of the parameters; batch norm uses the statistics of the batch."""
    knobs = experiment.knobs
    model, loss = experiment.model(knobs), experiment.loss(knobs)
    return make_objective(StepContext(model, loss, lambda params: jnp.zeros(()), stats, batch, None))


def beginning(experiment: Experiment) -> State:
    """The state before the first step of the first seed."""
    key = jax.random.key(np.uint32(experiment.plan.seeds[0]))
    knobs = jax.tree.map(lambda value: jnp.asarray(value, float), experiment.knobs)
    return jax.jit(lambda key, knobs: initial_state(experiment, key, knobs))(key, knobs)


def constant_loss(experiment: Experiment, objective: Objective, batch: Batch) -> float:
    """The loss where the model says the same of all: equal probabilities (ln classes), or the mean of the targets."""
    outputs = experiment.dataset.fitted.outputs
    positive = experiment.loss(experiment.knobs).positive
    constant = jnp.full((len(batch.y), outputs), 1.0 if positive else 0.0)
    return float(objective.value_of(constant))
