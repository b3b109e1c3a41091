"""One training step: the only one, whatever the model, the optimizer and the number of runs."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import optax
from jax import Array, lax

from nnrun.training.objective import StepContext, make_objective
from nnrun.training.turns import turns
from nnrun.types import Batch, Experiment, Objective, State, Tree

__all__ = ["initial_state", "make_step", "normalise", "state_with"]

Log = dict[str, Array]  # scalars of one step


def initial_state(experiment: Experiment, key: Array, knobs: Tree) -> State:
    """The State before the first step: weights and noise depend on the run's key only.

    key    () typed key of the run
    knobs  scalars, as Experiment.knobs
    """
    shape = experiment.dataset.train.x.shape[1:]
    params, stats, _ = experiment.model(knobs).init(jax.random.fold_in(key, 0), shape)
    return state_with(experiment, params, stats, key, knobs)


def state_with(experiment: Experiment, params: Tree, stats: Tree, key: Array, knobs: Tree) -> State:
    """The State before the first step of a run that begins with these parameters and batch-norm statistics."""
    step = jnp.zeros((), jnp.int32)
    schedule_state = experiment.schedule(knobs).init()
    method = experiment.method(knobs, schedule_state, step)
    examples = _ready(experiment, _any_batch(experiment))
    memory = method.init(_objective(experiment, knobs, stats, examples, key), params)
    average = {name: running.init(params) for name, running in experiment.averages(knobs).items()}
    return State(step, params, stats, memory, schedule_state, average, key, knobs)


def make_step(experiment: Experiment) -> Callable[[State, Batch], tuple[State, Log]]:
    """The step as a pure function (state, batch) -> (state, log); log holds scalars under metric names."""

    def step(state: State, batch: Batch) -> tuple[State, Log]:
        knobs = state.knobs
        noise = jax.random.fold_in(jax.random.fold_in(experiment.noise(state.key), 1), state.step)
        chance = jax.random.fold_in(jax.random.fold_in(state.key, 2), state.step)
        epoch = state.step // experiment.plan.steps_per_epoch
        turn = turns(
            jax.random.fold_in(state.key, 4), batch.x, epoch
        )  # not computed where nothing asks for it
        examples = _augmented(experiment, knobs, _ready(experiment, batch)._replace(turn=turn), chance)
        objective = _objective(experiment, knobs, state.stats, examples, noise)
        method = experiment.method(knobs, state.schedule_state, state.step)
        params, memory, evaluation = method.step(objective, state.params, state.opt_state)
        stats, means = evaluation.aux
        log = {f"train/{name}": mean for name, mean in means.items()}
        rate = experiment.rate(knobs, state.schedule_state, state.step)
        log |= {} if rate is None else {"learning_rate": rate}
        if knobs["penalty"]:
            log["penalty"] = experiment.penalty(knobs)(state.params)
        log |= _norms(batch.closing, evaluation.gradient, state.params, params)
        done = state.step + 1
        averages = experiment.averages(knobs)
        average = {
            name: running.update(state.average[name], params, done) for name, running in averages.items()
        }
        return State(done, params, stats, memory, state.schedule_state, average, state.key, knobs), log

    return step


def _objective(experiment: Experiment, knobs: Tree, stats: Tree, batch: Batch, noise: Array) -> Objective:
    context = StepContext(
        experiment.model(knobs), experiment.loss(knobs), experiment.penalty(knobs), stats, batch, noise
    )
    return make_objective(context, experiment.plan.accumulate)


def _ready(experiment: Experiment, batch: Batch) -> Batch:
    """A batch as stored as the model and the loss want it."""
    importance = (
        batch.y[:, -1] if _is_weighted(experiment, batch.y) else None
    )  # beside the targets, see make_feed
    x, y = normalise(experiment, batch)
    return Batch(x, y, batch.weight, importance=importance)


def _augmented(experiment: Experiment, knobs: Tree, batch: Batch, key: Array) -> Batch:
    """A batch after all augmentations, each with a key of its own."""
    for i, augment in enumerate(experiment.augment(knobs)):
        batch = augment(jax.random.fold_in(key, i), batch)
    return batch


def _any_batch(experiment: Experiment) -> Batch:
    """A batch of the right shapes, from which a Method learns what an evaluation looks like."""
    train, size = experiment.dataset.train, experiment.plan.batch_size
    x, y = (jnp.zeros((size, *part.shape[1:]), part.dtype) for part in train)
    return Batch(x, y, jnp.ones(size))


def normalise(experiment: Experiment, batch: Batch) -> tuple[Array, Array]:
    """Inputs (x − shift) / scale and targets as the loss wants them."""
    data = experiment.dataset
    shift, scale = jnp.asarray(data.shift, float), jnp.asarray(data.scale, float)
    if shift.ndim:
        shift, scale = shift[None], scale[None]
    x = (batch.x.astype(shift.dtype) - shift) / scale
    y = batch.y
    if _is_weighted(experiment, y):
        y = y[:, :-1] if data.fitted.targets else y[:, 0]
        y = y.astype(jnp.int32) if data.classes else y
    if jnp.issubdtype(y.dtype, jnp.integer):
        return x, y
    return x, y.astype(shift.dtype)


def _is_weighted(experiment: Experiment, y: Array) -> bool:
    """Whether weights stand beside the targets."""
    return y.ndim == 2 and y.shape[1] > (len(experiment.dataset.fitted.targets) or 1)


def _norms(is_logged: Array | bool, gradient: Tree, before: Tree, after: Tree) -> Log:
    """‖gradient‖, ‖update‖, and ‖update‖ / ‖parameters‖, about 1e-3 in a healthy run (cs231n); 0 if not wanted.

    On a CPU they would take a tenth of a small net's step.
    """

    @partial(jax.jit, inline=True)  # traced once, used twice
    def measured() -> Log:
        change = optax.tree.norm(jax.tree.map(jnp.subtract, after, before))
        size = jnp.maximum(optax.tree.norm(before), float(jnp.finfo(jnp.float32).tiny))
        return {
            "grad/norm": optax.tree.norm(gradient),
            "update/norm": change,
            "update/ratio": change / size,
        }

    absent = jax.tree.map(lambda a: jnp.zeros(a.shape, a.dtype), jax.eval_shape(measured))
    return lax.cond(is_logged, measured, lambda: absent)
