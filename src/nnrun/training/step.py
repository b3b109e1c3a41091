"""One training step: the only one, whatever the model, the optimizer and the number of runs."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax
from jax import Array, lax

from nnrun.types import Batch, Experiment, State, Tree

__all__ = ["initial_state", "make_step", "normalise"]

Log = dict[str, Array]  # scalars of one step


def initial_state(experiment: Experiment, key: Array, knobs: Tree) -> State:
    """The State before the first step: weights and noise depend on the run's key only.

    key    () typed key of the run
    knobs  scalars, as Experiment.knobs
    """
    model = experiment.model(knobs)
    params, stats, _ = model.init(jax.random.fold_in(key, 0), experiment.dataset.train.x.shape[1:])
    step = jnp.zeros((), jnp.int32)
    # Every Method so far begins from the shapes of the parameters, so there is no batch to evaluate here.
    memory = experiment.method(knobs, step).init(None, params)
    return State(step, params, stats, memory, key, knobs)


def make_step(experiment: Experiment) -> Callable[[State, Batch], tuple[State, Log]]:
    """The step as a pure function (state, batch) -> (state, log); log holds scalars under metric names."""

    def step(state: State, batch: Batch) -> tuple[State, Log]:
        knobs = state.knobs
        model, loss = experiment.model(knobs), experiment.loss(knobs)
        x, y = normalise(experiment, batch)
        noise = jax.random.fold_in(jax.random.fold_in(state.key, 1), state.step)
        examples = batch.weight.sum()

        def objective(params):
            outputs, stats = model.apply(params, state.stats, x, noise, batch.weight)
            value = (batch.weight * loss.value(outputs, y)).sum() / examples
            return value, (stats, loss.terms(outputs, y))

        method = experiment.method(knobs, state.step)
        params, memory, evaluation = method.step(objective, state.params, state.memory)
        stats, terms = evaluation.aux
        log = {f"train/{name}": (batch.weight * term).sum() / examples for name, term in terms.items()}
        log["learning_rate"] = experiment.rate(knobs, state.step)
        log |= _norms(batch.closing, evaluation.gradient, state.params, params)
        return State(state.step + 1, params, stats, memory, state.key, knobs), log

    return step


def normalise(experiment: Experiment, batch: Batch) -> tuple[Array, Array]:
    """Inputs (x − shift) / scale and targets as the loss wants them, from the values as stored."""
    data = experiment.dataset
    shift, scale = jnp.asarray(data.shift, float), jnp.asarray(data.scale, float)
    if shift.ndim:
        shift, scale = shift[None], scale[None]
    x = (batch.x.astype(shift.dtype) - shift) / scale
    if jnp.issubdtype(batch.y.dtype, jnp.integer):
        return x, batch.y
    return x, (batch.y.astype(shift.dtype) - data.target_shift) / data.target_scale


def _norms(wanted: Array | bool, gradient: Tree, before: Tree, after: Tree) -> Log:
    """‖gradient‖, and ‖update‖ / ‖parameters‖, which is about 1e-3 in a healthy run (cs231n); 0 if not wanted.

    On a CPU they would take a tenth of a small net's step.
    """

    def measured() -> Log:
        update = jax.tree.map(jnp.subtract, after, before)
        size = jnp.maximum(optax.tree.norm(before), float(jnp.finfo(jnp.float32).tiny))
        return {"grad/norm": optax.tree.norm(gradient), "update/ratio": optax.tree.norm(update) / size}

    absent = jax.tree.map(lambda a: jnp.zeros(a.shape, a.dtype), jax.eval_shape(measured))
    return lax.cond(wanted, measured, lambda: absent)
