"""What learns: layers, losses, objectives, optimizers, schedules, averages; and surfaces to race over."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from jax import Array

from nnrun.statistics.measure import Measure
from nnrun.statistics.metric import Bounds

__all__ = [
    "Average",
    "Layer",
    "Loss",
    "Method",
    "Objective",
    "Reactive",
    "Surface",
    "Tree",
    "ValueAndGradient",
]

Tree = Any  # nested dicts, lists and tuples of arrays


class Layer(NamedTuple):
    """A function with parameters.  A model is a Layer.

    init   (key, x_shape) -> params, stats, y_shape         shapes of one example, without the batch axis
    apply  (params, stats, x, key, weight) -> y, stats      x (n, *x_shape) -> y (n, *y_shape)
    stats   what is remembered but not trained (batch-norm statistics)
    first   whether it must see the inputs themselves
    draws   of how many predictions, as probabilities, an output is the mean where there is no noise
    composed   whether it is made of layers
    key     one key for this layer's noise at this step; None: no noise.
    weight  (n,) 1 for an example, 0 for padding of a short batch, in training; None: use stored statistics.
    """

    init: Callable[..., tuple[Tree, Tree, tuple[int, ...]]]
    apply: Callable[..., tuple[Array, Tree]]
    first: bool = False
    draws: int = 1
    composed: bool = False


class Loss(NamedTuple):
    """What is minimised, and what is reported beside it; everything is per example and averaged outside.

    value    (outputs, targets) -> (n,)                     the loss of each example
    terms    (outputs, targets) -> {name: (n,)}             what the metrics are averages of; (n, m): m of them
    metrics  {name: mean over a split} -> {name: float}     on the host, in float64; of m: name_0, name_1, ...
    judge, rising, bounds   the metric that picks the best step; those of which more is better; what they can be
    classifies  whether targets are labels (outputs: one per class) or numbers (one output, or one per target)
    probabilities, curved, likelihood   whether softmax(outputs) is meant, not scores; value is curved; is −log p(y)
    positive    whether outputs are exp of what the model gives, and targets ≥ 0 in units of their training mean
    binary      whether each target is 0 or 1, a label that is there or not, and each output its log-odds
    """

    value: Callable[[Array, Array], Array]
    terms: Callable[[Array, Array], dict[str, Array]]
    metrics: Callable[[Mapping[str, float]], dict[str, float]]
    judge: str
    rising: tuple[str, ...]
    classifies: bool
    bounds: Mapping[str, Bounds] = {}
    probabilities: bool = True
    curved: bool = True
    likelihood: bool = False
    measures: Mapping[str, Measure] = {}  # what the spec asks for beside that, by name
    weight: Callable[[Array, Array], Array] | None = None  # (n,) in the mean, and in value; None: 1
    positive: bool = False
    binary: bool = False


class ValueAndGradient(NamedTuple):
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
    step  (objective, params, memory) -> params, memory, ValueAndGradient
    exact, divides_by_curvature   whether it needs the full batch without noise at each step; a loss that is curved
    """

    init: Callable[..., Tree]
    step: Callable[..., tuple[Tree, Tree, ValueAndGradient]]
    exact: bool = False
    divides_by_curvature: bool = False


class Reactive(NamedTuple):
    """A schedule that reacts to what evaluations find.

    init, factor   () -> memory; (memory, step) -> () in [0, 1]
    react   (memory, value) -> memory; None: a fixed course  value (): of the metric, less is better
    metric  whose value it wants; None: the one that judges the run
    """

    init: Callable[[], Tree]
    factor: Callable[[Tree, Array], Array]
    react: Callable[[Tree, Array], Tree] | None = None
    metric: str | None = None


class Average(NamedTuple):
    """A running average of the parameters, evaluated beside them.

    init    (params) -> memory
    update  (memory, params, step) -> memory                step: how many steps were done, 1, 2, ...
    value   (memory, params) -> params                      the average, with the structure of params
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
