"""From a Spec to an Experiment.  This is the last place that sees a Spec."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from nnrun import catalog
from nnrun.catalog import Spec, bound
from nnrun.data._prepare import prepare
from nnrun.duration import Clock, Duration
from nnrun.fit import check_memory, check_model, check_step
from nnrun.optimizer._common import with_common
from nnrun.optimizer._first_order import first_order
from nnrun.plan import make_plan
from nnrun.schedule._warmup import warmed_up
from nnrun.types import Dataset, Experiment, Loss, Method, Tree

__all__ = ["build", "resolved"]

_NO_CLOCK = Clock(1, 1, 0)  # for blocks whose options hold no durations


def build(spec: Spec) -> Experiment:
    """Reads and checks the data, and turns the spec into functions and arrays.

    Raises SpecError where the parts do not fit together, DataError for bad data, MachineError where the
    machine's memory cannot hold it.
    """
    try:
        return _build(spec)
    except bound.WrongResultError as error:
        raise spec.fail((error.kind,) if hasattr(spec, error.kind) else ("model",), str(error)) from None


def _build(spec: Spec) -> Experiment:
    source = bound.call(spec.data, {}, _NO_CLOCK)
    common = spec.data.common
    dataset = prepare(
        source, validation=common["validation"], test=common["test"], split_seed=common["split_seed"]
    )
    loss = _loss(spec, dataset, bound.knobs(spec.loss))
    if loss.classifies != bool(dataset.classes):
        other = "squared_error" if loss.classifies else "cross_entropy"
        what = "numbers" if loss.classifies else "labels"
        raise spec.fail(
            ("loss",),
            f"{spec.loss.name} does not fit: the targets of {spec.data.name} are {what}; write loss: {{name: {other}}}",
        )
    plan = make_plan(spec, dataset, loss)
    clock = Clock(plan.batch_size, plan.steps_per_epoch, plan.steps)
    blocks = {key: getattr(spec, key) for key in ("model", "loss", "optimizer", "schedule")}
    outputs = len(dataset.classes) or 1

    def rate(knobs: Tree, step: jax.Array) -> jax.Array:
        return jnp.asarray(_learning_rate(spec, knobs) * _factor(spec, knobs, clock)(step), float)

    experiment = Experiment(
        model=lambda knobs: bound.call(spec.model, knobs["model"], clock, outputs=outputs),
        loss=lambda knobs: _loss(spec, dataset, knobs["loss"]),
        method=lambda knobs, step: _method(spec, knobs, rate(knobs, step), clock),
        rate=rate,
        knobs={key: bound.knobs(block) for key, block in blocks.items()},
        dataset=dataset,
        plan=plan,
    )
    check_model(spec, experiment, outputs)
    if catalog.user_names(spec):  # ours have tests of their own; tracing takes a moment
        check_step(experiment)
    check_memory(experiment)
    return experiment


def resolved(spec: Spec, experiment: Experiment) -> dict[str, Any]:
    """The spec as YAML data with every default filled in; what a default depends on is settled."""

    def section(model: Any) -> Any:
        return {key: str(value) if isinstance(value, Duration) else value for key, value in model}

    plan = experiment.plan
    train = section(spec.train)
    if spec.train.early_stopping is not None:
        train["early_stopping"] = {**section(spec.train.early_stopping), "metric": plan.patience_metric}
    return {
        "name": spec.name,
        **{
            key: bound.plain(getattr(spec, key)) for key in ("data", "model", "loss", "optimizer", "schedule")
        },
        "train": train,
        "checkpoint": {**section(spec.checkpoint), "best": plan.judge},
    }


def _loss(spec: Spec, dataset: Dataset, knobs: Tree) -> Loss:
    return bound.call(spec.loss, knobs, _NO_CLOCK, target_scale=dataset.target_scale)


def _learning_rate(spec: Spec, knobs: Tree) -> Any:
    """The optimizer's own rate: a knob, or a number that is off (0), or absent (no such option)."""
    return knobs["optimizer"].get("learning_rate", spec.optimizer.options.get("learning_rate", 0.0))


def _factor(spec: Spec, knobs: Tree, clock: Clock) -> Any:
    warmup = spec.schedule.common["warmup"].steps(clock)
    total = max(1, clock.total - warmup)
    return warmed_up(bound.call(spec.schedule, knobs["schedule"], clock, total=total), warmup)


def _method(spec: Spec, knobs: Tree, rate: jax.Array, clock: Clock) -> Method:
    own = dict(knobs["optimizer"])
    if "learning_rate" in spec.optimizer.options:
        own["learning_rate"] = rate
    optimizer = bound.call(spec.optimizer, own, clock)
    if isinstance(optimizer, Method):
        if common := {k for k, v in spec.optimizer.common.items() if v}:
            key = min(common)
            message = f"{spec.optimizer.name} makes its own steps, which {key} cannot change; leave it out"
            raise spec.fail(("optimizer", key), message)
        return optimizer
    common = {key: own.get(key, value) for key, value in spec.optimizer.common.items()}
    return first_order(with_common(optimizer, rate, **common))
