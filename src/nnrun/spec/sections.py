"""The keys of a spec that are not catalogue entries: its sections, and what every block of a kind has."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel, Field

from nnrun.duration import Duration
from nnrun.options import Patterns, Positive, Rate, StepsMark
from nnrun.spec import models

__all__ = [
    "COMMON",
    "SECTIONS",
    "CheckpointSection",
    "DataCommon",
    "EarlyStoppingSection",
    "OptimizerCommon",
    "ScheduleCommon",
    "TrainSection",
]

_TIMES = ("seconds", "minutes")
_AMOUNTS = ("steps", "epochs", "examples")


class _Section(BaseModel):
    model_config = models.STRICT


def _time(default: str | int, description: str) -> Any:
    """A duration with its default as a spec writes it: that is parsed too."""
    return Field(default, description=description)


class EarlyStoppingSection(_Section):
    """Stop when a validation metric has not improved for a while."""

    metric: str | None = Field(
        None, description="val/loss, val/accuracy, ...; null: what checkpoint.best judges by"
    )
    patience: Annotated[Duration, StepsMark()] = _time("10 epochs", "how long without an improvement")
    min_delta: Annotated[float, Ge(0)] = Field(0.0, description="a smaller change is no improvement")


class TrainSection(_Section):
    """How long, from which seed, and what is looked at on the way."""

    duration: Annotated[Duration, StepsMark(_AMOUNTS)] = Field(
        description="length of the run, such as 30 epochs"
    )
    seed: Annotated[int, Ge(0), Lt(2**31)] = Field(0, description="initial weights, data order and noise")
    seeds: Annotated[int, Ge(1), Le(1024)] = Field(
        1, description="train seed, seed+1, ... at once in one program"
    )
    log_every: Annotated[Duration, StepsMark()] = _time("50 steps", "one line in metrics.jsonl each")
    evaluate_every: Annotated[Duration, StepsMark()] = _time("1 epoch", "metrics on the validation part")
    early_stopping: EarlyStoppingSection | None = Field(
        None, description="stop when validation stops improving"
    )
    accumulate: Annotated[int, Ge(1)] = Field(
        1,
        description="compute the gradient of a batch in this many parts, one after another, to save memory; batch "
        "norm sees each part for itself, and noise is drawn for each",
    )
    precision: Literal["float32", "float64", "tf32"] = Field(
        "float32",
        description="of parameters and arithmetic; tf32: float32, but products with 10 bits where a GPU has "
        "tensor cores for them",
    )
    random: Literal["threefry", "fast"] = Field(
        "threefry",
        description="what noise is drawn from: the generator of jax, or a hash at a fraction of its cost",
    )
    deterministic: bool = Field(
        True, description="on a GPU, only deterministic kernels, so that a resumed run has the same bits"
    )


class CheckpointSection(_Section):
    """When the state of a run is written to disk."""

    every: Annotated[Duration, StepsMark((*_AMOUNTS, "%", *_TIMES))] = _time("30 seconds", "time or training")
    keep: Annotated[int, Ge(2)] | Literal["cycle_ends"] = Field(
        3,
        description="how many of the newest are kept; cycle_ends: those at the ends of the schedule's cycles, and "
        "the newest 2; the best comes on top",
    )
    best: str | None = Field(
        None, description="validation metric that picks the best; null: the loss's own choice"
    )


class DataCommon(_Section):
    """Keys that every data block has."""

    batch_size: Annotated[int, Ge(1)] | Literal["full"] = Field(64, description="examples per step")
    validation: Annotated[float, Ge(0), Lt(1)] = Field(0.1, description="fraction of the examples held out")
    test: Annotated[float, Gt(0), Lt(1)] = Field(
        0.2, description="fraction held out for testing where there is no test part"
    )
    split_seed: Annotated[int, Ge(0), Lt(2**63)] = Field(0, description="which examples are held out")
    stream: bool | Literal["auto"] = Field(
        "auto",
        description="read inputs as they are needed instead of holding them all in the device's memory; "
        "auto: where they would take more than a quarter of what is free",
    )
    examples: Annotated[int, Ge(1)] | None = Field(
        None,
        description="train on this many of the training part, chosen by split_seed; null: on all of them",
    )
    bootstrap: bool = Field(
        False,
        description="each seed trains on a sample of its own, drawn with replacement from the training part",
    )


class OptimizerCommon(_Section):
    """Keys that every optimizer block has."""

    clip_value: Positive | None = Field(None, description="bound each component of the gradient")
    clip_array: Positive | None = Field(None, description="scale each array's gradient down to this norm")
    clip_norm: Positive | None = Field(None, description="scale gradients down to this global norm")
    clip_adaptive: Positive | None = Field(
        None, description="bound the norm of each unit's gradient to this fraction of the norm of its weights"
    )
    weight_decay: Rate = Field(
        0.0, description="decoupled decay of weights, not of biases and norm scales unless decay_only says so"
    )
    decay_only: Patterns | None = Field(
        None, description="patterns of the parameters that decay, such as ['*/kernel']"
    )
    rates: dict[str, Rate] | None = Field(
        None,
        description="factors of the learning rate by pattern, such as {'head/*': 0.1}; the first one counts",
    )
    max_norm: Positive | None = Field(
        None, description="after each step, scale the weights that lead to a unit down to this norm"
    )


class ScheduleCommon(_Section):
    """Keys that every schedule block has."""

    warmup: Annotated[Duration, StepsMark()] = _time(0, "linear rise from 0 before the schedule begins")


SECTIONS = {"train": TrainSection, "checkpoint": CheckpointSection}
COMMON = {
    "data": DataCommon,
    "optimizer": OptimizerCommon,
    "schedule": ScheduleCommon,
}
