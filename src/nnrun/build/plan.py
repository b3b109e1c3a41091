"""When things happen in a run: durations and metrics of a spec, worked out from the data and the loss."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from nnrun.catalog import Spec
from nnrun.duration import Clock, Duration
from nnrun.errors import counted
from nnrun.spec.schema import nearest
from nnrun.training.columns import column_names
from nnrun.types import Dataset, Loss, Plan

__all__ = ["average_names", "make_plan", "metric_names", "validation_metric"]


def make_plan(spec: Spec, dataset: Dataset, loss: Loss) -> Plan:
    """The plan of a run.  Raises SpecError where a duration, batch size or metric does not fit the data."""
    _check_loss(spec, dataset, loss)
    examples = len(dataset.train.y)
    batch = spec.data.common["batch_size"]
    batch = examples if batch == "full" else batch
    if batch > examples:
        message = (
            f"got {batch}, but there are {examples} training examples; write at most {examples}, or full"
        )
        raise spec.fail(("data", "batch_size"), message)
    per_epoch = -(-examples // batch)
    steps = spec.train.duration.steps(Clock(batch, per_epoch, 0))
    if not 1 <= steps < 2**31:
        raise spec.fail(("train", "duration"), f"{steps} steps; write at least 1 step and fewer than 2^31")
    clock = Clock(batch, per_epoch, steps)
    warmup = spec.schedule.common["warmup"].steps(clock)
    if warmup > steps:
        raise spec.fail(
            ("schedule", "warmup"),
            f"{counted(warmup, 'step')}, longer than the run ({steps}); write a shorter one",
        )
    every, early = spec.checkpoint.every, spec.train.early_stopping
    judge = validation_metric(spec, dataset, loss, spec.checkpoint.best, ("checkpoint", "best"))
    patience_metric = early and validation_metric(
        spec, dataset, loss, early.metric or judge, ("train", "early_stopping", "metric")
    )
    if early and patience_metric is None:
        raise spec.fail(("train", "early_stopping"), "needs a validation part; write data.validation: 0.1")
    return Plan(
        name=spec.name,
        model=spec.model.name,
        precision=spec.train.precision,
        seeds=tuple(range(spec.train.seed, spec.train.seed + spec.train.seeds)),
        steps=steps,
        steps_per_epoch=per_epoch,
        batch_size=batch,
        log_every=_at_least_one(spec, ("train", "log_every"), spec.train.log_every, clock),
        evaluate_every=_at_least_one(spec, ("train", "evaluate_every"), spec.train.evaluate_every, clock),
        checkpoint_every=0
        if every.seconds is not None
        else _at_least_one(spec, ("checkpoint", "every"), every, clock),
        checkpoint_seconds=every.seconds,
        keep=2 if spec.checkpoint.keep == "cycle_ends" else spec.checkpoint.keep,
        judge=judge,
        patience=0
        if early is None
        else _at_least_one(spec, ("train", "early_stopping", "patience"), early.patience, clock),
        patience_metric=patience_metric,
        min_delta=0.0 if early is None else early.min_delta,
        rising=loss.rising,
        bounds=loss.bounds,
        reacts_to=None,
        accumulate=_accumulate(spec, batch),
        devices=_devices(spec, batch),
        fsdp=_fsdp(spec),
        sampling=_sampling(spec, loss),
    )


def _sampling(spec: Spec, loss: Loss) -> str:
    """What an epoch draws, see Plan.  Raises SpecError where that has no meaning."""
    if spec.data.common["sampling"] != "balanced":
        return "bootstrap" if spec.data.common["bootstrap"] else ""
    path = ("data", "sampling")
    if not loss.classifies:
        what = "is about several labels, each with classes of its own" if loss.binary else "predicts numbers"
        raise spec.fail(
            path, f"balanced draws every class equally often, and {spec.loss.name} {what}; leave it out"
        )
    if spec.data.common["bootstrap"]:
        raise spec.fail(
            path, "balanced and data.bootstrap both say what an epoch draws; leave one of them out"
        )
    return "balanced"


def average_names(spec: Spec) -> list[str]:
    """The name of each average in metrics and checkpoints; the second `ema` is ema_2."""
    names = [block.name.replace(":", ".") for block in spec.average]
    counts = [names[: i + 1].count(name) for i, name in enumerate(names)]
    return [name if n == 1 else f"{name}_{n}" for name, n in zip(names, counts, strict=True)]


def _prefixes(spec: Spec) -> list[str]:
    return ["val", *(f"val/{name}" for name in average_names(spec))]


def _accumulate(spec: Spec, batch: int) -> int:
    if spec.train.accumulate > batch:
        message = f"got {spec.train.accumulate}, but a batch has {batch} examples; write at most {batch}"
        raise spec.fail(("train", "accumulate"), message)
    return spec.train.accumulate


def _devices(spec: Spec, batch: int) -> int | str:
    """How many devices share a batch, see Plan.  Raises SpecError where they cannot have equal parts of it."""
    count = spec.train.devices
    if count not in (1, "auto") and spec.train.seeds > 1:
        message = f"{spec.train.devices}, but several seeds are spread over the devices anyway; leave it out"
        raise spec.fail(("train", "devices"), message)
    if isinstance(count, int) and batch % count:
        near = max(count, round(batch / count) * count)
        raise spec.fail(
            ("train", "devices"),
            f"{count} devices cannot have equal parts of a batch of {batch}; write data.batch_size: {near}",
        )
    return count


def _fsdp(spec: Spec) -> bool:
    """Whether each device holds a part of the state, see Plan.  Raises SpecError where no devices share a batch."""
    if spec.train.fsdp and spec.train.seeds > 1:
        raise spec.fail(
            ("train", "fsdp"), "true, but several seeds are spread over the devices, each whole; leave it out"
        )
    if spec.train.fsdp and spec.train.devices == 1:
        raise spec.fail(
            ("train", "fsdp"), "true divides the state over several devices; write train.devices: all"
        )
    return spec.train.fsdp


def _at_least_one(spec: Spec, path: tuple[str, ...], duration: Duration, clock: Clock) -> int:
    steps = duration.steps(clock)
    if steps < 1:
        raise spec.fail(path, f"got {duration}; write at least 1 step")
    return steps


def validation_metric(
    spec: Spec, dataset: Dataset, loss: Loss, name: str | None, path: tuple[str, ...]
) -> str | None:
    """A validation metric by name, or the loss's own choice; None where nothing is held out.  Raises SpecError."""
    if not len(dataset.val.y):
        if name is None:
            return None
        raise spec.fail(path, f"{name} needs a validation part; write data.validation: 0.1")
    known = [f"{prefix}/{metric}" for prefix in _prefixes(spec) for metric in metric_names(dataset, loss)]
    name = name or f"val/{loss.judge}"
    if name not in known:
        raise spec.fail(path, f"there is no metric {name!r}; {nearest(name, known)}")
    return name


def _check_loss(spec: Spec, dataset: Dataset, loss: Loss) -> None:
    names = metric_names(dataset, loss)
    for name in {"loss", loss.judge} - set(names):
        message = f"{spec.loss.name} reports {', '.join(names)}; its terms and metrics need {name!r} too"
        raise spec.fail(("loss",), message)


def metric_names(dataset: Dataset, loss: Loss) -> list[str]:
    """The metrics that are reported of the validation part."""

    def terms() -> dict[str, jax.Array]:
        outputs = jnp.zeros((1, dataset.fitted.outputs))
        shape = outputs.shape if dataset.fitted.targets else (1,)
        return loss.terms(outputs, jnp.zeros(shape, jnp.int32 if loss.classifies else outputs.dtype))

    columns = column_names(jax.eval_shape(terms), axes=1)
    return sorted({*loss.metrics(dict.fromkeys(columns, 0.0)), *loss.measures})
