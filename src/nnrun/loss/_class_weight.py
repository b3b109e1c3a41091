"""Weights of classes in the mean of a loss."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np

from nnrun.errors import one_line
from nnrun.options import Positive

__all__ = ["ClassWeight", "weights_of"]

ClassWeight = Literal["balanced"] | dict[str, Positive] | None


def weights_of(class_weight: ClassWeight, classes: Sequence[str], counts: Sequence[int]) -> np.ndarray | None:
    """(classes,) the weight of each class; None where all are the same.

    class_weight   balanced: n / (K · nₖ) of the n examples of K classes in the training part, as in scikit-learn; or
                   weights by the names of classes, 1 for the others
    counts         nₖ; () where the training part is not here, whose loss nobody asks for then
    Raises ValueError for a class that does not exist, and for balanced where the training part lacks one.
    """
    if class_weight is None or not classes:
        return None
    if isinstance(class_weight, Mapping):
        unknown = [name for name in class_weight if name not in classes]
        if unknown:
            known = one_line(", ".join(classes), 200)
            raise ValueError(f"there is no class {one_line(unknown[0], 40)!r}; the classes are {known}")
        return np.array([class_weight.get(name, 1.0) for name in classes], np.float64)
    if not len(counts):
        return np.ones(len(classes))
    if not all(counts):
        name = one_line(classes[list(counts).index(0)], 40)
        raise ValueError(
            f"balanced: the training part has no example of {name}; write the weights: {{{name}: 1.0, ...}}"
        )
    return sum(counts) / (len(classes) * np.asarray(counts, np.float64))
