"""The types that travel through nnrun, without logic.  Conventions that hold everywhere:

Shapes are written behind arrays: x (n, h, w, c) is a batch of n images, channels last.
An *update* is added to the parameters: params ← params + update.
A `key` of None means no noise; a `weight` of None means stored batch-norm statistics: two separate facts.
"""

from nnrun.statistics.measure import Measure
from nnrun.statistics.metric import Undefined
from nnrun.types._data import Augmentation, Batch, Dataset, Examples, Source
from nnrun.types._learning import (
    Average,
    Layer,
    Loss,
    Method,
    Objective,
    Reactive,
    Surface,
    Tree,
    ValueAndGradient,
)
from nnrun.types._runs import Experiment, Plan, State

__all__ = [
    "Augmentation",
    "Average",
    "Batch",
    "Dataset",
    "Examples",
    "Experiment",
    "Layer",
    "Loss",
    "Measure",
    "Method",
    "Objective",
    "Plan",
    "Reactive",
    "Source",
    "State",
    "Surface",
    "Tree",
    "Undefined",
    "ValueAndGradient",
]  # fmt: skip
