"""From a Spec to an Experiment, with all checks that need the data."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from nnrun import catalog
from nnrun.build.augment import check_augment
from nnrun.build.checks import (
    check_draws,
    check_durations,
    check_memory,
    check_method,
    check_model,
    check_parts,
    check_step,
    checked,
)
from nnrun.build.folds import fold_of
from nnrun.build.inputs import check_inputs
from nnrun.build.metrics import make_measures, with_measures
from nnrun.build.model import make_model
from nnrun.build.optimizer import learning_rate, make_method
from nnrun.build.plan import average_names, make_plan, validation_metric
from nnrun.build.several_targets import loss_of_targets
from nnrun.build.targets import check_task, wants_counts, wants_labels, wants_several_labels
from nnrun.catalog import Spec, bound, user_code
from nnrun.data._absent import Absent
from nnrun.data._of_run import inputs_of_run
from nnrun.data._prepare import prepare, without_data
from nnrun.duration import Clock
from nnrun.layer._noise import noise_key
from nnrun.model._rates import with_rates
from nnrun.preprocessing import Wanted
from nnrun.schedule._cycles import Cycles
from nnrun.schedule._warmup import warmed_up
from nnrun.training.memory import room_for_data
from nnrun.types import Augmentation, Average, Dataset, Experiment, Loss, Plan, Reactive, Source, Tree

__all__ = ["build", "data_of", "dataset_of", "knobs_of", "source_of"]

_NO_CLOCK = Clock(1, 1, 0)  # for blocks whose options hold no durations


def build(
    spec: Spec, dataset: Dataset | None = None, need: Wanted | None = None, in_memory: bool = True
) -> Experiment:
    """Reads and checks the data, and turns the spec into functions and arrays.

    dataset    of the spec's data block, where it has been read before (`data_of` names it)
    need       what the folder of the run records; where no part of the data is wanted, none is read
    in_memory  whether what the memory cannot hold is refused; else it may be asked about, and must not be trained
    Raises SpecError where the parts do not fit together, DataError for bad data, MachineError where the
    machine's memory cannot hold it, RunError where a wanted part of the data has changed.
    """
    try:
        return _build(spec, dataset or _dataset(spec, need), in_memory)
    except bound.WrongResultError as error:
        raise spec.fail((error.kind,) if hasattr(spec, error.kind) else ("model",), str(error)) from None


def data_of(spec: Spec) -> str:
    """The part of a spec that decides its dataset: equal for specs with the same data."""
    block = bound.structure(spec.data, fixed=True)
    return repr(
        {key: block[key] for key in block if key not in ("batch_size", "bootstrap", "sampling")}
        | {"in": spec.document.folder, "fold": fold_of(spec)}
        | {
            "precision": spec.train.precision,
            "classifies": wants_labels(spec),
            "positive": wants_counts(spec),
            "binary": wants_several_labels(spec),
        }
    )


def _dataset(spec: Spec, need: Wanted | None) -> Dataset:
    if need and not need.parts:
        return without_data(need.fitted, np.dtype(jnp.zeros(()).dtype))
    with inputs_of_run(need):
        return dataset_of(spec, source_of(spec), need)


def source_of(spec: Spec) -> Source:
    """What the loader of a spec reads.  Raises DataError."""
    classifies, binary = wants_labels(spec), wants_several_labels(spec)
    return bound.call(spec.data, {}, _NO_CLOCK, classifies=classifies, binary=binary)


def dataset_of(spec: Spec, source: Source, need: Wanted | None = None) -> Dataset:
    """The parts of a source as a spec splits them, and what is fitted to them.  To be used within its precision.

    need   what the folder of the run records
    Raises DataError, RunError where a wanted part has changed.
    """
    precision, common = np.dtype(jnp.zeros(()).dtype), spec.data.common
    return prepare(
        source,
        validation=common["validation"],
        test=common["test"],
        split_seed=common["split_seed"],
        examples=common["examples"],
        stratify=common["stratify"],
        room=room_for_data(common["stream"]),
        precision=precision,
        need=need,
        fold=fold_of(spec),
        positive=wants_counts(spec),
    )


def _build(spec: Spec, dataset: Dataset, in_memory: bool) -> Experiment:
    weighted = ("loss", "class_weight") if spec.loss.options.get("class_weight") else ("loss",)
    loss = checked(spec, weighted, lambda: _loss(spec, dataset, bound.knobs(spec.loss)))
    check_task(spec, dataset, loss)
    measures = make_measures(spec, dataset, loss)
    loss = with_measures(loss, measures)
    plan = make_plan(spec, dataset, loss)
    clock = Clock(plan.batch_size, plan.steps_per_epoch, plan.steps)
    check_durations(spec, clock)
    outputs = dataset.fitted.outputs
    model, model_knobs = make_model(spec, clock, dataset, outputs)

    def factor(knobs: Tree, schedule_state: Tree, step: jax.Array) -> jax.Array:
        return _schedule(spec, knobs, clock).factor(schedule_state, step)

    def rate(knobs: Tree, schedule_state: Tree, step: jax.Array) -> jax.Array | None:
        base = learning_rate(spec.optimizer, knobs["optimizer"])
        return None if base is None else jnp.asarray(base * factor(knobs, schedule_state, step), float)

    experiment = Experiment(
        model=lambda knobs: with_rates(model(knobs["model"])) if loss.positive else model(knobs["model"]),
        loss=lambda knobs: with_measures(_loss(spec, dataset, knobs["loss"]), measures),
        penalty=lambda knobs: _penalty(spec, knobs["penalty"], clock),
        schedule=lambda knobs: _schedule(spec, knobs, clock),
        method=lambda knobs, schedule_state, step: make_method(
            spec.optimizer, knobs["optimizer"], factor(knobs, schedule_state, step), clock
        ),
        rate=rate,
        averages=lambda knobs: _averages(spec, knobs["average"], clock),
        augment=lambda knobs: _augment(spec, knobs["augment"], clock),
        noise=lambda key, shared=False: noise_key(key, spec.train.random, shared),
        knobs=knobs_of(spec, model_knobs),
        dataset=dataset,
        plan=plan,
    )
    plan = _with_cycles(spec, _with_reaction(spec, experiment, loss), clock)
    experiment = experiment._replace(plan=plan)
    check_inputs(spec, dataset)
    check_augment(spec, experiment)
    convolutions = check_model(spec, experiment, outputs)
    experiment = experiment._replace(plan=plan._replace(convolutions=convolutions))
    check_draws(spec, experiment)
    check_parts(spec, experiment)
    like = check_method(spec, experiment)
    if catalog.user_names(spec):  # ours have tests of their own; tracing takes a moment
        check_step(experiment, like)
    if in_memory and not isinstance(dataset.train.x, Absent):  # who only predicts needs no data, no optimizer
        check_memory(experiment, like)
    return experiment


def knobs_of(spec: Spec, model_knobs: Tree | None = None) -> Tree:
    """The knobs of a spec, with the structure of Experiment.knobs.

    model_knobs   those of the model, where they are not those of its block
    """
    return {
        "model": bound.knobs(spec.model) if model_knobs is None else model_knobs,
        **{key: bound.knobs(getattr(spec, key)) for key in ("loss", "optimizer", "schedule")},
        **{
            key: [bound.knobs(block) for block in getattr(spec, key)]
            for key in spec.document.lists
            if key != "metrics"
        },
    }


def _loss(spec: Spec, dataset: Dataset, knobs: Tree) -> Loss:
    labels = dataset.train.y
    known = bool(dataset.classes) and not isinstance(labels, Absent)
    counts = np.bincount(labels, minlength=len(dataset.classes)).tolist() if known else ()
    given = {"classes": dataset.classes, "class_counts": counts}
    scales, targets = np.atleast_1d(dataset.fitted.target_scale).tolist(), dataset.fitted.targets
    losses = [bound.call(spec.loss, knobs, _NO_CLOCK, target_scale=scale, **given) for scale in scales]
    return (
        loss_of_targets(losses, targets, not user_code.is_user_name(spec.loss.name)) if targets else losses[0]
    )


def _with_reaction(spec: Spec, experiment: Experiment, loss: Loss) -> Plan:
    """The plan with the metric that the schedule reacts to."""
    path = ("schedule", "metric")
    checked(spec, ("average",), lambda: experiment.averages(experiment.knobs))
    schedule = checked(spec, ("schedule",), lambda: experiment.schedule(experiment.knobs))
    if schedule.react is None:
        return experiment.plan
    name = validation_metric(spec, experiment.dataset, loss, schedule.metric or experiment.plan.judge, path)
    if name is None:
        message = f"{spec.schedule.name} needs a validation part; write data.validation: 0.1"
        raise spec.fail(("schedule",), message)
    return experiment.plan._replace(reacts_to=name)


def _with_cycles(spec: Spec, plan: Plan, clock: Clock) -> Plan:
    """The plan with the ends of the schedule's cycles, where their checkpoints are to be kept."""
    if spec.checkpoint.keep != "cycle_ends":
        return plan
    warmup, knobs = spec.schedule.common["warmup"].steps(clock), bound.knobs(spec.schedule)
    schedule = _made_schedule(spec, knobs, clock, warmup)
    if not isinstance(schedule, Cycles):
        remedy = "write schedule: {name: cosine_restarts, period: 20%}, or a number"
        raise spec.fail(("checkpoint", "keep"), f"{spec.schedule.name} has no cycles; {remedy}")
    return plan._replace(kept=tuple(warmup + end for end in schedule.ends))


def _penalty(spec: Spec, knobs: list[Tree], clock: Clock) -> Callable[[Tree], jax.Array]:
    """The sum of all penalties."""
    parts = [bound.call(block, knob, clock) for block, knob in zip(spec.penalty, knobs, strict=True)]
    return lambda params: sum((part(params) for part in parts), jnp.zeros(()))


def _augment(spec: Spec, knobs: list[Tree], clock: Clock) -> list[Augmentation]:
    return [bound.call(block, knob, clock) for block, knob in zip(spec.augment, knobs, strict=True)]


def _averages(spec: Spec, knobs: list[Tree], clock: Clock) -> dict[str, Average]:
    blocks = zip(average_names(spec), spec.average, knobs, strict=True)
    return {name: bound.call(block, knob, clock) for name, block, knob in blocks}


def _schedule(spec: Spec, knobs: Tree, clock: Clock) -> Reactive:
    """The schedule of a spec behind its warm-up; one that has a fixed course remembers nothing."""
    warmup = spec.schedule.common["warmup"].steps(clock)
    schedule = _made_schedule(spec, knobs["schedule"], clock, warmup)
    if isinstance(schedule, Reactive):
        return schedule._replace(
            factor=lambda memory, step: warmed_up(lambda s: schedule.factor(memory, s), warmup)(step)
        )
    fixed = warmed_up(schedule, warmup)
    return Reactive(lambda: (), lambda memory, step: fixed(step))


def _made_schedule(spec: Spec, knobs: Tree, clock: Clock, warmup: int) -> Reactive | Callable[..., jax.Array]:
    """What the schedule's function returns, which does not know of the warm-up before it."""
    return bound.call(spec.schedule, knobs, clock, total=max(1, clock.total - warmup))
