"""The types that travel through nnrun, without logic.  Conventions that hold everywhere:
Shapes are written behind arrays: x (n, h, w, c) is a batch of n images, channels last.
An *update* is added to the parameters.  A `key` of None: no noise; a `weight` of None: stored batch-norm statistics.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from jax import Array

from nnrun.preprocessing import About, Column, Preprocessing, TableFacts
from nnrun.rows import Rows
from nnrun.statistics.measure import Measure, Undefined

__all__ = [
    "Augmentation", "Average", "Batch", "Dataset", "Evaluation", "Examples", "Experiment", "Layer", "Loss", "Measure",
    "Method", "Objective", "Plan", "Reactive", "Source", "State", "Surface", "Tree", "Undefined",
]  # fmt: skip
Tree = Any  # nested dicts, lists and tuples of arrays


class Layer(NamedTuple):
    """A function with parameters.  A model is a Layer.

    init   (key, x_shape) -> params, stats, y_shape         shapes of one example, without the batch axis
    apply  (params, stats, x, key, weight) -> y, stats      x (n, *x_shape) -> y (n, *y_shape)
    stats, first   what is remembered but not trained (batch-norm statistics); whether it must see the inputs themselves
    key, weight   for the noise of this step, None: none; (n,) 1 for an example, 0 for padding, None: stored statistics
    """

    init: Callable[..., tuple[Tree, Tree, tuple[int, ...]]]
    apply: Callable[..., tuple[Array, Tree]]
    first: bool = False


class Loss(NamedTuple):
    """What is minimised, and what is reported beside it; everything is per example and averaged outside.

    value, terms   (outputs, targets) -> (n,): of each example; {name: (n,)}: what the metrics are averages of
    metrics  {name: mean over a split} -> {name: float}     on the host, in float64
    judge, rising, shares   the metric that picks the best step; those of which more is better; those in [0, 1]
    classifies  whether targets are labels (outputs: one per class) or numbers (one output)
    probabilities, curved, likelihood   whether softmax(outputs) is meant, not scores; value is curved; is −log p(y)
    """

    value: Callable[[Array, Array], Array]
    terms: Callable[[Array, Array], dict[str, Array]]
    metrics: Callable[[Mapping[str, float]], dict[str, float]]
    judge: str
    rising: tuple[str, ...]
    classifies: bool
    shares: tuple[str, ...] = ()
    probabilities: bool = True
    curved: bool = True
    likelihood: bool = False
    measures: Mapping[str, Measure] = {}  # what the spec asks for beside that, by name
    weight: Callable[[Array, Array], Array] | None = None  # (n,) in the mean, and in value; None: 1


class Evaluation(NamedTuple):
    """The evaluation of the objective that a Method's step reports."""

    value: Array  # ()
    aux: Tree
    gradient: Tree


class Objective(NamedTuple):
    """What a step minimises, as a function of the parameters alone: the batch and the noise are settled.

    objective(params) -> value, aux is differentiable any number of times, in reverse mode only (convolutions).
    value = value_of(outputs_of(params)) + penalty_of(params)
    """

    whole: Callable[[Tree], tuple[Array, Tree]]  # params -> value (), aux
    gradient: Callable[[Tree], tuple[tuple[Array, Tree], Tree]]  # params -> (value, aux), gradient
    outputs_of: Callable[[Tree], Array]  # params -> outputs (n, ...)
    value_of: Callable[[Array], Array]  # outputs -> (), convex for the losses of the catalogue but focal
    penalty_of: Callable[[Tree], Array]  # params -> ()

    def __call__(self, params: Tree) -> tuple[Array, Tree]:
        return self.whole(params)


class Method(NamedTuple):
    """An optimizer that decides which evaluations of the objective to make.

    init  (objective, params) -> memory                     objective(params) -> (value, aux); for eval_shape only
    step  (objective, params, memory) -> params, memory, Evaluation
    exact, divides_by_curvature   whether it needs the full batch without noise at each step; a loss that is curved
    """

    init: Callable[..., Tree]
    step: Callable[..., tuple[Tree, Tree, Evaluation]]
    exact: bool = False
    divides_by_curvature: bool = False


class Reactive(NamedTuple):
    """A schedule that reacts to what evaluations find.

    init, factor   () -> memory; (memory, step) -> () in [0, 1]
    react, metric   (memory, value) -> memory, None: a fixed course; whose value (), less is better, None: the judge
    """

    init: Callable[[], Tree]
    factor: Callable[[Tree, Array], Array]
    react: Callable[[Tree, Array], Tree] | None = None
    metric: str | None = None


class Average(NamedTuple):
    """A running average of the parameters, evaluated beside them.

    init, value   (params) -> memory; (memory, params) -> params: the average, with the structure of params
    update        (memory, params, step) -> memory          step: how many steps were done, 1, 2, ...
    """

    init: Callable[[Tree], Tree]
    update: Callable[[Tree, Tree, Array], Tree]
    value: Callable[[Tree, Tree], Tree]


class Surface(NamedTuple):
    """A function of two numbers that optimizers race over.

    value, noise    x (2,) -> (); standard deviation of the noise of each component of its gradient
    start, window   where every path begins; ((left, right), (bottom, top)): what a picture shows
    goal, floor   the value at which the race is won; the least in the window, from which logarithmic pictures measure
    """

    value: Callable[[Array], Array]
    start: tuple[float, float]
    window: tuple[tuple[float, float], tuple[float, float]]
    goal: float
    floor: float
    noise: float


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


class Batch(NamedTuple):
    """The examples of one step."""

    x: Array  # (n, *shape) as stored
    y: Array  # (n,) int32 labels or (n,) float targets
    weight: Array  # (n,) 1 for an example, 0 for padding
    closing: Array | bool = True  # () whether a line of metrics ends here, so that norms are wanted
    other: Array | None = None  # (n,) like y: second targets, where examples are blended with others
    turn: Array | None = None  # (n,) uint32: a random number of each example's own, plus the epoch
    share: Array | None = None  # (n,) in [0, 1]: loss = share · L(z, y) + (1 − share) · L(z, other)
    importance: Array | None = None  # (n,) how much an example counts in what is minimised; None: the same


Augmentation = Callable[[Array, Batch], Batch]  # (key, batch) -> batch, inputs standardised, in training only


class Examples(NamedTuple):
    """Inputs and targets of a part of the data, on the host."""

    x: np.ndarray | Rows  # (n, *shape) uint8 or floats; a Rows if it is streamed
    y: np.ndarray  # (n,) int32 labels, or (n,) floats: targets


class Source(NamedTuple):
    """What a data loader returns: the files' content, not yet split."""

    train: Examples
    test: Examples | None  # None: one is cut from train
    classes: tuple[str, ...]  # class names by label; () for regression
    standardize: str  # "feature": each input its own mean and deviation; "image": one for all; "none"
    columns: tuple[Column, ...] = ()  # of a table: the features that the inputs are made of
    table: TableFacts = TableFacts()  # what it knows as a table


class Dataset(NamedTuple):
    """Data ready for training.  The program computes (x - shift) / scale; targets are standardised already."""

    train: Examples
    val: Examples
    test: Examples
    shift: np.ndarray  # () or (*shape) float32, from the training part only
    scale: np.ndarray  # like shift, > 0
    target_shift: float  # a target is (value − target_shift) / target_scale
    target_scale: float
    offset: np.ndarray  # like shift, float64: what was subtracted from float64 inputs before rounding; else 0
    targets: dict[str, np.ndarray]  # of a regression, by part: (n,) float64 in their own units; {} for labels
    classes: tuple[str, ...]
    fitted: Preprocessing  # the same in float64, and digests of the parts: what the run's folder records
    about: tuple[About, ...] = ()  # the columns of a table in words
    weights: np.ndarray | None = None  # (n,) float64, of the training part, of mean 1; None: all the same


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
    shares: tuple[str, ...]  # metrics that are shares of the examples, likewise
    reacts_to: str | None  # validation metric that a Reactive schedule waits for; None: it has a fixed course
    accumulate: int  # parts of a batch, one after another
    sampling: str = ""  # what an epoch draws: bootstrap, balanced (over classes); "": every example once
    kept: tuple[int, ...] = ()  # steps whose checkpoints are kept for good: the ends of a schedule's cycles


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
    noise: Callable[[Array], Array]  # the run's key -> that key as one of the generator of noise
    knobs: Tree
    dataset: Dataset
    plan: Plan
    lanes: tuple[Tree, ...] = ()  # the knobs of each lane of a population; (): those above, for all
