"""Averages of predictions.  Every way to average is a weighted mean of something that each member gives.

    probabilities, weighted   p = softmax(z)
    logits                    z; the only one for scores, of which no softmax is a probability
    vote                      one vote for the largest p, and p itself to decide between equal counts

Several labels: each is a classification into two classes, z = (0, log-odds).  Regression: the mean of the predicted
numbers, whatever the way.  Sums are taken in float64 in the order of the
members, which is that of their SHA-256, so the order in which they are named changes no bit.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

import numpy as np

from nnrun.training.predictions import as_pairs, softmax

__all__ = ["PARAMETERS", "PREDICTIONS", "Combiner", "OutputKind", "name_of"]

OutputKind = Literal["classes", "scores", "labels", "numbers"]  # what outputs of a model are of

PREDICTIONS = ("probabilities", "logits", "vote", "weighted")
PARAMETERS = ("parameters", "greedy")


def name_of(how: str, kind: OutputKind) -> str:
    """The name of an average in reports: that of numbers by `probabilities` or `logits` is their mean."""
    return "mean" if how in ("probabilities", "logits") and kind == "numbers" else how


class Combiner:
    """A way to average the predictions of this many members.

    how       one of PREDICTIONS
    members   how many there are
    kind      of what outputs are: z (n, classes) of classes, as logits or scores, which stay what they are; log-odds
              z (n, k) of several labels; z (n, 1) of a number, (n, k) of several

    `mean` averages what the members give; `probabilities` and `outputs` read the result.
    """

    def __init__(self, how: str, members: int, kind: OutputKind) -> None:
        # One vote decides nothing that the member's own probabilities do not.
        self.how = "probabilities" if how == "weighted" or (how == "vote" and members == 1) else how
        if kind == "scores":
            self.how = "logits"
        self.members, self.kind = members, kind

    def values(self, outputs: np.ndarray) -> np.ndarray:
        """What one member gives, (..., classes) float64; of labels (..., k, 2), for both classes of each.

        A vote is v + p / (members + 1), over a constant that makes it sum to 1: the p of all members add up to
        less than one vote.
        """
        z = as_pairs(outputs) if self.kind == "labels" else np.asarray(outputs, np.float64)
        if self.kind == "numbers" or self.how == "logits":
            return z
        p = softmax(z)
        if self.how == "probabilities":
            return p
        small = 1 / (self.members + 1)
        return (np.eye(p.shape[-1])[p.argmax(-1)] + small * p) / (1 + small)

    def mean(self, outputs: Iterable[np.ndarray], weights: Sequence[float]) -> np.ndarray:
        """The weighted mean over members, one after another; weights sum to 1."""
        total: np.ndarray | None = None
        for member_outputs, weight in zip(outputs, weights, strict=True):
            share = weight * self.values(member_outputs)
            total = share if total is None else total + share
        if total is None:
            raise ValueError("an average of no members")
        return total

    def probabilities(self, mean: np.ndarray) -> np.ndarray:
        """Of the classes (..., classes), of labels that each is there (..., k); numbers and scores stay as they are."""
        is_logits = self.how == "logits" and self.kind in ("classes", "labels")
        p = softmax(mean) if is_logits else mean
        return p[..., 1] if self.kind == "labels" else p

    def outputs(self, mean: np.ndarray) -> np.ndarray:
        """What takes the place of the outputs of one model: logits, scores, log-probabilities, log-odds, or numbers."""
        if self.kind == "numbers":
            return mean
        z = mean if self.how == "logits" else np.log(np.maximum(mean, np.finfo(np.float64).tiny))
        return z[..., 1] - z[..., 0] if self.kind == "labels" else z
