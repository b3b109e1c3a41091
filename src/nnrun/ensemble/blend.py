"""The average itself, and how it is made of the members' predictions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from nnrun.ensemble.scores import Scored
from nnrun.ensemble.weights import mixture_weights, regression_weights
from nnrun.prediction.combiner import Combiner, OutputKind
from nnrun.training.predictions import as_pairs, softmax

__all__ = ["Blend", "blend_predictions"]


class Blend(NamedTuple):
    """What an ensemble predicts.

    combiner  reads the mean
    weights   of the members
    mean      part of the data -> what the members give on average, (n, ...)
    """

    combiner: Combiner
    weights: list[float]
    mean: dict[str, np.ndarray]

    def outputs(self, part: str) -> np.ndarray:
        """What takes the place of the outputs of one model, (n, ...)."""
        return self.combiner.outputs(self.mean[part])

    def predictions(self, part: str) -> np.ndarray:
        """Probabilities or scores of the classes, or standardised numbers, (n, ...)."""
        return self.combiner.probabilities(self.mean[part])


def blend_predictions(how: str, scored: Scored) -> Blend:
    """The average of the members' predictions; `weighted` fits the weights on validation data."""
    predicted, kind = scored.predicted, scored.model.kind
    combiner = Combiner(how, predicted.members, kind)
    weights = [1 / predicted.members] * predicted.members
    if how == "weighted":
        weights = _fitted(predicted.outputs("val"), scored.model.standardised("val"), kind)
    means = {part: combiner.mean(predicted.outputs(part), weights) for part in predicted.parts}
    return Blend(combiner, weights, means)


def _fitted(outputs: Sequence[np.ndarray], targets: np.ndarray, kind: OutputKind) -> list[float]:
    if kind == "labels":  # of each label of each example
        outputs, targets = [as_pairs(z.reshape(-1)) for z in outputs], targets.reshape(-1).astype(np.int32)
    if kind == "numbers":
        return regression_weights(np.stack([z.reshape(-1) for z in outputs]), targets.reshape(-1)).tolist()
    rows = np.arange(len(targets))
    return mixture_weights(np.stack([softmax(z)[rows, targets] for z in outputs])).tolist()
