"""The keys of a spec that are not catalogue entries: its sections, and what every block of a kind has."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from annotated_types import Ge, Le, Lt
from pydantic import BaseModel, BeforeValidator, Field

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
    "home_of",
]

_TIMES = ("seconds", "minutes")
_AMOUNTS = ("steps", "epochs", "examples")


class _Section(BaseModel):
    model_config = models.STRICT


def _time(default: str | int, description: str) -> Any:
    """A duration with its default as a spec writes it: that is parsed too."""
    return Field(default, description=description)


_NO_PRECISION = {
    "mixed": "bfloat16 is mixed: parameters and sums are in float32; write bfloat16",
    "float16": "its gradients are lost below 6e-8; write bfloat16, which has the range of float32",
}


def _check_precision(value: object) -> object:
    """A precision; those that are left out on purpose are refused with the reason."""
    if reason := _NO_PRECISION.get(str(value)):
        raise ValueError(reason)
    return value


Precision = Annotated[Literal["float32", "float64", "tf32", "bfloat16"], BeforeValidator(_check_precision)]


class EarlyStoppingSection(_Section):
    """Stop when a validation metric has not improved for a while."""

    metric: str | None = Field(
        None, description="what must improve, such as `val/loss`; null: what `checkpoint.best` judges by"
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
        1, description="train `seed`, `seed` + 1, ... at once, in one program"
    )
    folds: Annotated[int, Ge(2), Le(1024)] | None = Field(
        None,
        description="cross-validation: this many runs, each validated with another part of the examples beside the "
        "test part and trained on the rest, in place of `data.validation`; `data.split_seed` draws the parts",
    )
    repeats: Annotated[int, Ge(1), Le(1024)] = Field(
        1, description="of `folds`: how many times the examples are divided anew"
    )
    fold: Annotated[int, Ge(1)] | None = Field(
        None,
        description="of `folds`: train this one alone, 1 to `folds` times `repeats`; null: all of them, the first with "
        "`seed`, the next with `seed` + 1, ...",
    )
    log_every: Annotated[Duration, StepsMark()] = _time(
        "50 steps", "one line in `metrics.jsonl` each, averages over the steps since the line before"
    )
    evaluate_every: Annotated[Duration, StepsMark()] = _time("1 epoch", "metrics on the validation part")
    early_stopping: EarlyStoppingSection | None = Field(
        None, description="stop when validation stops improving"
    )
    accumulate: Annotated[int, Ge(1)] = Field(
        1,
        description="compute the gradient of a batch in this many parts, one after another, in less memory; the same "
        "step but for batch norm, which sees each part for itself, and for noise, which is drawn for each",
    )
    remat: Literal["blocks"] | None = Field(
        None,
        description="`blocks`: what the layers of a block of the model put out is not kept but computed again on the "
        "way back, block by block, so that a deep net takes less memory, and more time, on a GPU or TPU "
        "(on a CPU XLA mostly undoes it); the same step, but for rounding in bfloat16. For residual nets and "
        "transformers",
    )
    precision: Precision = Field(
        "float32",
        description="of parameters and arithmetic, or `float64`; `tf32`: float32, but products with 10 bits on a GPU "
        "that has tensor cores for them; `bfloat16`: activations and products of the model have 8 bits, while "
        "parameters, what the optimizer remembers, statistics, sums, loss and metrics stay float32",
    )
    devices: Annotated[int, Ge(1), Le(4096)] | Literal["all", "auto"] = Field(
        "auto",
        description="that share each batch of a single run, `data.batch_size` examples in all; `all` of this machine, "
        "or of all processes that train the run, as far as they divide the batch; `auto`: all of several processes, "
        "one of a single process. The same run but for the order in which sums are added; several seeds are spread "
        "over the devices without it",
    )
    fsdp: bool = Field(
        False,
        description="fully sharded data parallelism: each of the devices that share a batch holds an equal part of the "
        "parameters, of what the optimizer remembers and of averages, and gathers parameters where the model needs "
        "them; with it `devices: auto` is all devices here. For what does not fit one device: it sends more",
    )
    random: Literal["threefry", "fast"] = Field(
        "threefry",
        description="what noise is drawn from: the generator of jax, or `fast`, a hash that makes dropout nearly free; "
        "initial weights are the same with both",
    )
    deterministic: bool = Field(
        True,
        description="on a GPU, only deterministic kernels, so that a resumed run has the same bits; on a CPU it "
        "always is so",
    )


class CheckpointSection(_Section):
    """When the state of a run is written to disk."""

    every: Annotated[Duration, StepsMark((*_AMOUNTS, "%", *_TIMES))] = _time(
        "30 seconds", "a duration of training, or seconds or minutes of wall time"
    )
    keep: Annotated[int, Ge(2)] | Literal["cycle_ends"] = Field(
        3,
        description="how many of the newest are kept; the best comes on top; `cycle_ends`: those at the ends of the "
        "cycles of `cosine_restarts`, for a snapshot ensemble, and the newest 2",
    )
    best: str | None = Field(
        None,
        description="validation metric that picks the best, such as `val/auroc`; null: the loss's own choice; equal "
        "values are decided by `val/loss`",
    )


class DataCommon(_Section):
    """Keys that every data block has."""

    batch_size: Annotated[int, Ge(1)] | Literal["full"] = Field(
        64, description="examples per step, or `full`: all of them"
    )
    validation: Annotated[float, Ge(0), Lt(1)] = Field(
        0.1,
        description="fraction of the examples (other than a test part that the data bring along) held out for "
        "validation",
    )
    test: Annotated[float, Ge(0), Lt(1)] = Field(
        0.2,
        description="fraction held out for testing where the data have no test part of their own; 0: nothing is, so "
        "the run trains on all examples and nobody knows how well it does on others",
    )
    split_seed: Annotated[int, Ge(0), Lt(2**63)] = Field(0, description="which examples are held out")
    stratify: bool = Field(
        False,
        description="of a regression: each part has its share of every tenth of the targets, ordered by size; classes "
        "are always split so",
    )
    stream: bool | Literal["auto"] = Field(
        "auto",
        description="`true`: inputs stay in their file, or in the host's memory, and are read as they are needed, "
        "ahead of the device; `false`: all of them are held in the device's memory; `auto` streams what would take "
        "more than a quarter of the free memory; the result is the same, to the last bit; a loader of your own "
        "streams from a file if it returns an `np.memmap`",
    )
    examples: Annotated[int, Ge(1)] | None = Field(
        None,
        description="train on this many examples of the training part only (after the split; each class keeps its "
        "share; chosen by `split_seed`); null: on all of them",
    )
    sampling: Literal["balanced"] | None = Field(
        None,
        description="`balanced`: an epoch draws every class equally often, as many examples in all as there are: those "
        "of a rare class several times, of a frequent one not all; null: every example once",
    )
    bootstrap: bool = Field(
        False,
        description="each seed trains on a bootstrap sample of its own: as many examples, drawn with replacement from "
        "the training part; the members of a bagged ensemble",
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
        0.0,
        description="decoupled decay, as in AdamW, of weights; not of biases and norm scales unless `decay_only` says "
        "so",
    )
    decay_only: Patterns | None = Field(
        None, description="patterns of the names of the parameters that decay instead, such as `['*/kernel']`"
    )
    rates: dict[str, Rate] | None = Field(
        None,
        description="factors of the learning rate by pattern, such as `{'head/*': 0.1}`; the first that fits "
        "counts, 0 freezes",
    )
    max_norm: Positive | None = Field(
        None,
        description="after each step, scale the weights that lead to a unit down to this norm (Srivastava et al. 2014: "
        "3 to 4, with dropout); biases, norm scales and frozen groups are free",
    )


class ScheduleCommon(_Section):
    """Keys that every schedule block has."""

    warmup: Annotated[Duration, StepsMark()] = _time(
        0, "duration of a linear rise from 0 before the schedule begins"
    )


SECTIONS = {"train": TrainSection, "checkpoint": CheckpointSection}
COMMON = {
    "data": DataCommon,
    "optimizer": OptimizerCommon,
    "schedule": ScheduleCommon,
}


def home_of(key: str) -> str | None:
    """The section or block that has a key of this name, whatever the rest of it is; None: none has."""
    models_of = {**SECTIONS, **COMMON}
    return next((name for name, model in models_of.items() if key in models.keys(model)), None)
