"""Whether the parts of an experiment fit together and into the machine, found out before anything is created."""

from __future__ import annotations

from collections.abc import Callable
from fnmatch import fnmatchcase
from typing import TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from nnrun import kernels, machine
from nnrun.build.augment import is_augmented
from nnrun.build.optimizer import MisfitError
from nnrun.catalog import Spec
from nnrun.catalog.bound import Bound
from nnrun.duration import Clock, Duration
from nnrun.errors import MachineError, first_line, one_line
from nnrun.layer._remat import noticing_blocks
from nnrun.optimizer._paths import name_of
from nnrun.spec.schema import nearest
from nnrun.training.feed import block_bytes
from nnrun.training.memory import bytes_of, free_memory, share_of_state
from nnrun.training.sampled import is_noisy
from nnrun.training.start import one_like
from nnrun.training.step import make_step
from nnrun.types import Batch, Experiment, Loss, State, Tree

__all__ = [
    "check_draws",
    "check_durations",
    "check_memory",
    "check_method",
    "check_model",
    "check_parts",
    "check_step",
    "checked",
]

Result = TypeVar("Result")


def checked(spec: Spec, path: tuple[str | int, ...], function: Callable[[], Result]) -> Result:
    """function(), a ValueError in it as the SpecError for the block at `path`."""
    try:
        return function()
    except MisfitError as error:
        raise spec.fail(error.path, str(error)) from None
    except ValueError as error:
        raise spec.fail(path, first_line(error)) from error


def check_durations(spec: Spec, clock: Clock) -> None:
    """Refuses schedules and averages that would begin after the end of the run."""
    rest = clock.total - spec.schedule.common["warmup"].steps(clock)
    averages = zip(spec.document.lists["average"], spec.average, strict=True)
    blocks = [(path, block, clock.total) for (path, _), block in averages]
    for path, block, most in [(("schedule",), spec.schedule, rest), *blocks]:
        for key, value in block.options.items():
            if isinstance(value, Duration) and value.steps(clock) > most:
                what = f"{value} is {value.steps(clock)} steps, and the run has {most}"
                after = " after the warm-up" if most < clock.total else ""
                raise spec.fail(
                    (*path, key), f"{what}{after}; write a shorter one or a longer train.duration"
                )


def check_method(spec: Spec, experiment: Experiment) -> State:
    """Refuses an optimizer that cannot work with this model, these batches or this schedule.

    Returns the state before the first step as shapes, which takes a moment to find.
    """
    state = checked(spec, ("optimizer",), lambda: one_like(experiment))
    names = [name_of(path) for path, _ in jax.tree_util.tree_leaves_with_path(state.params)]
    _check_patterns(spec, spec.optimizer, names, ("optimizer",))
    if any(jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key) for leaf in jax.tree.leaves(state.opt_state)):
        message = (
            f"{spec.optimizer.name} remembers a random key, which a checkpoint cannot hold; write another one"
        )
        raise spec.fail(("optimizer", "name"), message)
    jax.eval_shape(lambda: _check_first_step(spec, experiment))  # computed, it would compile a dozen programs
    return state


def _check_first_step(spec: Spec, experiment: Experiment) -> None:
    step = jnp.zeros((), jnp.int32)
    schedule_state = experiment.schedule(experiment.knobs).init()
    if experiment.rate(experiment.knobs, schedule_state, step) is None:
        _check_no_schedule(spec)
    method = experiment.method(experiment.knobs, schedule_state, step)
    if method.divides_by_curvature:
        _check_curved(spec, experiment.loss(experiment.knobs))
    if method.exact:
        _check_exact(spec, experiment)


def _check_curved(spec: Spec, loss: Loss) -> None:
    """Refuses a loss without second derivatives."""
    if not loss.curved:
        smooth = "squared_hinge or cross_entropy" if loss.classifies else "huber or squared_error"
        raise spec.fail(
            ("optimizer", "name"),
            f"{spec.optimizer.name} needs a curved loss, and {spec.loss.name} is straight between its kinks; "
            f"write loss: {smooth}, or another optimizer",
        )


def _check_exact(spec: Spec, experiment: Experiment) -> None:
    """Refuses mini-batches and noise."""
    name, plan = spec.optimizer.name, experiment.plan
    changes: list[tuple[str, str]] = []  # what changes the function, and the remedy
    if plan.steps_per_epoch > 1:
        size, all_of_them = plan.batch_size, len(experiment.dataset.train.y)
        changes.append((f"batches of {size} of {all_of_them} examples", "write data.batch_size: full"))
    if plan.sampling == "balanced":
        changes.append(("data.sampling: balanced", "weigh classes instead (loss.class_weight: balanced)"))
    if is_noisy(experiment):
        changes.append((f"the noise of {spec.model.name} (dropout and the like)", "switch the noise off"))
    if is_augmented(experiment):
        changes.append(("augmentation", "leave augment out"))
    if plan.precision == "bfloat16":
        changes.append(("the rounding to bfloat16", "write train.precision: float32"))
    if changes:
        reasons, remedies = (" and ".join(words) for words in zip(*changes, strict=True))
        message = (
            f"{name} learns the curvature by comparing gradients from step to step, and the function under it is "
            f"not one: {reasons}; {remedies}, or to watch it fail, optimizer.allow_noise: true"
        )
        raise spec.fail(("optimizer", "name"), message)


def _check_no_schedule(spec: Spec) -> None:
    for key, idle in (
        ("name", spec.schedule.name == "constant"),
        ("warmup", spec.schedule.common["warmup"].amount == 0),
    ):
        if not idle:
            message = f"{spec.optimizer.name} has no learning rate that a schedule could change; leave it out"
            raise spec.fail(("schedule", key), message)


def _check_patterns(spec: Spec, block: Bound, names: list[str], path: tuple[str, ...]) -> None:
    """Every pattern of a parameter's name must fit one, or it is misspelt."""
    written = {**block.common, **block.options}
    for key in ("adam_only", "decay_only", "rates"):
        for pattern in written.get(key) or ():
            if not any(fnmatchcase(name, pattern) for name in names):
                message = f"no parameter fits {one_line(repr(pattern), 60)}; {nearest(pattern, names)}"
                raise spec.fail((*path, key), message)
    if written.get("decay_only") and not written.get("weight_decay"):
        raise spec.fail((*path, "decay_only"), "nothing decays; add weight_decay: 0.01 or leave it out")
    for key, inner in block.options.items():
        if isinstance(inner, Bound):
            _check_patterns(spec, inner, names, (*path, key))


def check_model(spec: Spec, experiment: Experiment, outputs: int) -> str:
    """Traces the model once, so that shapes that do not fit are found before anything is created.

    Returns what computes its convolutions, as Plan.convolutions.
    """
    x = experiment.dataset.train.x
    batch = jax.ShapeDtypeStruct((2, *x.shape[1:]), jnp.zeros(()).dtype)

    def run(x: jax.Array) -> jax.Array:
        model = experiment.model(experiment.knobs)
        params, stats, _ = model.init(jax.random.key(0), x.shape[1:])
        return model.apply(params, stats, x, jax.random.key(1), jnp.ones(2))[0]

    try:
        with kernels.noticing() as computed_by, noticing_blocks() as blocks:
            y = jax.eval_shape(run, batch)
    except (ValueError, TypeError) as error:
        message = first_line(error)
        raise spec.fail(
            ("model",), f"{spec.model.name} on inputs of shape {x.shape[1:]}: {message}"
        ) from error
    if y.shape != (2, outputs):
        message = f"{spec.model.name} puts out shape {y.shape[1:]} per example, the data needs ({outputs},)"
        raise spec.fail(("model",), f"{message}; end with {outputs} outputs")
    if spec.train.remat and not blocks:
        message = f"{spec.model.name} is not made of blocks, which residual nets and transformers are"
        raise spec.fail(("train", "remat"), f"{message}; leave remat out")
    return ", ".join(sorted(computed_by))


def check_draws(spec: Spec, experiment: Experiment) -> None:
    """Refuses a model that averages probabilities of several draws, where its outputs are scores or several targets."""
    draws, targets = experiment.model(experiment.knobs).draws, experiment.dataset.fitted.targets
    if draws > 1 and targets:
        message = (
            f"{draws} draws are averaged as probabilities of classes, and there are {len(targets)} targets"
        )
        raise spec.fail(("model", "pooling"), f"{message}; write test_poolings: 1")
    if draws > 1 and not experiment.loss(experiment.knobs).probabilities:
        message = f"{draws} draws are averaged as probabilities, and {spec.loss.name} gives scores"
        raise spec.fail(("model", "pooling"), f"{message}; write test_poolings: 1, or loss: cross_entropy")


def check_parts(spec: Spec, experiment: Experiment) -> None:
    """Refuses batch norm over single values, where a batch, or each part of it, is one example."""
    plan = experiment.plan
    if -(-plan.batch_size // plan.accumulate) > 1:
        return
    x = experiment.dataset.train.x
    batch = jax.ShapeDtypeStruct((1, *x.shape[1:]), jnp.zeros(()).dtype)

    def run(x: jax.Array) -> jax.Array:
        model = experiment.model(experiment.knobs)
        params, stats, _ = model.init(jax.random.key(0), x.shape[1:])
        return model.apply(params, stats, x, jax.random.key(1), jnp.ones(1))[0]

    path = ("data", "batch_size") if plan.accumulate == 1 else ("train", "accumulate")
    checked(spec, path, lambda: jax.eval_shape(run, batch))


def check_memory(experiment: Experiment, like: State) -> None:
    """Refuses what cannot fit: the data once, and per run the state before and after a chunk, and gradients.

    Of data that are streamed, what is on its way; they are read by as many threads as have seeds to train.
    """
    state = bytes_of(like) * share_of_state(experiment.plan)
    parts = experiment.dataset.train, experiment.dataset.val, experiment.dataset.test
    data = sum(part.y.nbytes + (part.x.nbytes if isinstance(part.x, np.ndarray) else 0) for part in parts)
    readers = min(len(experiment.plan.seeds), len(machine.cores()))
    data += readers * block_bytes(experiment.dataset.train, experiment.plan.batch_size)
    needed = data + 3 * state * len(experiment.plan.seeds)
    free = free_memory()
    if free is not None and needed > free:
        held = isinstance(experiment.dataset.train.x, np.ndarray)
        hint = " or data.stream: true" if held else " or a smaller data.batch_size"
        raise MachineError(
            f"the run needs about {needed / 2**30:.1f} GiB (data {data / 2**30:.1f}, parameters and optimizer "
            f"{needed / 2**30 - data / 2**30:.1f}) and {free / 2**30:.1f} GiB are free; "
            f"use a smaller model, fewer train.seeds{hint}"
        )


def check_step(experiment: Experiment, like: State) -> None:
    """Traces a whole step, so that an optimizer or loss of the user's that fails does so before anything exists."""
    plan, train = experiment.plan, experiment.dataset.train
    x, y = (jax.ShapeDtypeStruct((plan.batch_size, *part.shape[1:]), part.dtype) for part in train)
    weight = jax.ShapeDtypeStruct((plan.batch_size,), jnp.zeros(()).dtype)
    batch: Tree = (x, y, weight)  # as shapes
    jax.eval_shape(make_step(experiment), like, Batch(*batch))
