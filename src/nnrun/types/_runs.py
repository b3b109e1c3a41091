"""A run: what changes while it trains, when things happen, and all that a program needs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from jax import Array

from nnrun.statistics.metric import Bounds
from nnrun.types._data import Augmentation, Dataset
from nnrun.types._learning import Average, Layer, Loss, Method, Reactive, Tree

__all__ = ["Experiment", "Plan", "State"]


class State(NamedTuple):
    """All that changes while a run trains, and nothing else: a checkpoint is a State."""

    step: Array  # () int32: steps done
    params: Tree
    stats: Tree
    opt_state: Tree  # what the Method remembers
    schedule_state: Tree  # what a Reactive schedule remembers
    average: Tree  # {name: memory} of each Average
    key: Array  # () the run's key; never rebound: noise of step t comes from fold_in(key, t)
    knobs: Tree  # float options that may vary inside one compiled program


class Plan(NamedTuple):
    """What a run is called, and when things happen: in steps, at multiples counted from 0, so resuming keeps them."""

    name: str
    model: str  # its name in the catalogue
    precision: str  # float32, float64, tf32 or bfloat16
    seeds: tuple[int, ...]  # one run each
    steps: int  # the run ends here
    steps_per_epoch: int
    batch_size: int
    log_every: int
    evaluate_every: int
    checkpoint_every: int  # 0: by the clock only
    checkpoint_seconds: float | None
    keep: int  # checkpoints
    judge: str | None  # validation metric that picks the best step; None: no validation part
    patience: int  # steps without an improvement after which a run stops; 0: never
    patience_metric: str | None
    min_delta: float
    rising: tuple[str, ...]  # metrics of which more is better, without the part of the data: accuracy
    bounds: Mapping[str, Bounds]  # the least and the most that metrics can be, likewise by name
    reacts_to: str | None  # validation metric that a Reactive schedule waits for; None: it has a fixed course
    accumulate: int  # parts of a batch, one after another
    devices: int | str = 1  # that share each batch of a single run; all there are; auto: see training.mesh
    fsdp: bool = False  # whether each of these devices holds a part of the state only
    sampling: str = ""  # what an epoch draws: bootstrap, balanced (over classes); "": every example once
    kept: tuple[int, ...] = ()  # steps whose checkpoints are kept for good: the ends of a schedule's cycles
    convolutions: str = ""  # what computes them on a CPU: kernels for AVX2, ..., or jax; "": there are none


class Experiment(NamedTuple):
    """Everything that a program needs; the spec is gone.  Its functions take knobs: a program serves every value."""

    model: Callable[[Tree], Layer]  # knobs -> Layer
    loss: Callable[[Tree], Loss]  # knobs -> Loss
    penalty: Callable[[Tree], Callable[[Tree], Array]]  # knobs -> params -> ()
    schedule: Callable[[Tree], Reactive]  # knobs -> Reactive
    method: Callable[[Tree, Tree, Array], Method]  # knobs, schedule_state, step -> Method
    rate: Callable[[Tree, Tree, Array], Array | None]  # knobs, schedule_state, step -> learning rate, or None
    averages: Callable[[Tree], dict[str, Average]]  # knobs -> {name: Average}
    augment: Callable[[Tree], list[Augmentation]]  # knobs -> Augmentations, one after another
    noise: Callable[..., Array]  # the run's key, shared=False -> that key as one of the generator of noise
    knobs: Tree
    dataset: Dataset
    plan: Plan
    lane_knobs: tuple[Tree, ...] = ()  # the knobs of each lane of a population; (): those above, for all
