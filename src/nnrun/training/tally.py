"""A part of the data that is evaluated piece by piece, and the metrics that a spec asks for over it."""

from __future__ import annotations

import jax
import numpy as np
from jax import Array

from nnrun.statistics.metric import Undefined
from nnrun.training.predictions import predictions_of
from nnrun.types import Dataset, Loss

__all__ = ["PartEvaluation", "Tally"]


class Tally:
    """Metrics of one model on one part of the data.

    rows   examples whose terms are added up at a time: sums have the same bits wherever pieces end, if those are
           multiples of it
    What is made of terms needs no more than their sums; what needs all predictions at once has them collected.
    """

    def __init__(self, loss: Loss, dataset: Dataset, rows: int) -> None:
        self._loss, self._dataset, self._rows = loss, dataset, rows
        self._sums: dict[str, np.ndarray] = {}
        self._kept: list[tuple[np.ndarray, np.ndarray]] = []
        self._collects = any(measure.terms is None for measure in loss.measures.values())
        self._examples, self._finite = 0, True

    def add(self, outputs: np.ndarray, targets: np.ndarray) -> None:
        """Takes in the next outputs (n, width) of the model, and the targets (n,) as `targets_of` has them."""
        for start in range(0, len(targets), self._rows):
            rows = slice(start, start + self._rows)
            self._add(predictions_of(outputs[rows], self._loss, self._dataset), targets[rows])

    def _add(self, predictions: np.ndarray, targets: np.ndarray) -> None:
        self._examples += len(targets)
        self._finite = self._finite and bool(np.isfinite(predictions).all())
        if not self._finite:
            return
        for name, measure in self._loss.measures.items():
            if measure.terms is not None:
                self._sums[name] = self._sums.get(name, 0.0) + measure.each(predictions, targets).sum(0)
        if self._collects:
            self._kept.append((predictions, targets))

    def metrics(self) -> dict[str, float]:
        """The metrics of all that was taken in."""
        measures = self._loss.measures
        if not self._finite:
            return {name: Undefined("predictions are not finite") for name in measures}
        whole = [np.concatenate(arrays) for arrays in zip(*self._kept, strict=True)]
        return {
            name: measure.of_all(*whole)
            if measure.terms is None
            else measure.of_averages(self._sums[name] / self._examples)
            for name, measure in measures.items()
        }


class PartEvaluation:
    """An evaluation of a part that was begun.

    sums      of the terms, of each piece
    tallies   of the metrics that the spec asks for, one for each lane; [] where it asks for none
    """

    def __init__(self, tallies: list[Tally], targets: np.ndarray) -> None:
        self.sums: list[Array] = []
        self.tallies, self._targets = tallies, targets
        self._outputs: list[
            tuple[Array, int]
        ] = []  # which the tallies have yet to take in, and of how many examples

    def make_room(self) -> None:
        """Waits for the piece before the last, so that no more than three are there."""
        if len(self.sums) > 1:
            self.sums[-2].block_until_ready()
            self._take()

    def add(self, sums: Array, outputs: Array, examples: int) -> None:
        """Takes in a piece that the device may still work on."""
        self.sums.append(sums)
        self._outputs.append((outputs, examples))

    def _take(self) -> None:
        """Hands the tallies what is on the device longest."""
        outputs, examples = self._outputs.pop(0)
        targets, self._targets = np.split(self._targets, [examples])
        if not self.tallies:
            return
        values = np.asarray(outputs)
        lanes = values.reshape(len(self.tallies), -1, values.shape[-1])
        for tally, of_lane in zip(self.tallies, lanes, strict=True):
            tally.add(of_lane[:examples], targets)

    def end(self) -> None:
        """Waits until everything is there and taken in."""
        jax.block_until_ready(self.sums)
        while self._outputs:
            self._take()
