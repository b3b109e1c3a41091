"""Metrics over examples that come in pieces."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from nnrun.prediction.adjustment import Temperature
from nnrun.prediction.per_class import counts_of_labels
from nnrun.prediction.reading import check_finite
from nnrun.report.per_class import PerClass, per_class_of
from nnrun.report.per_label import PerLabel, per_label_of
from nnrun.training.judge import Judge

__all__ = ["PiecewiseMetrics"]


class PiecewiseMetrics:
    """Metrics of one model, or of an average, over examples that come in pieces."""

    def __init__(self, judge: Judge, folder: Path, temperature: Temperature | None) -> None:
        self.judge, self.folder, self.temperature = judge, folder, temperature
        classes, labels = judge.dataset.classes, judge.dataset.fitted.label_classes
        self._sums, self._count = np.zeros(judge.rows), 0
        self._confusion = np.zeros((len(classes), len(classes)), np.int64)
        self._of_labels = np.zeros((len(labels), 2, 2), np.int64)
        self._collects = any(measure.terms is None for measure in judge.loss.measures.values())
        self._kept: list[tuple[np.ndarray, np.ndarray]] = []

    def add(self, outputs: np.ndarray, targets: np.ndarray) -> None:
        """Takes in outputs (n, width), or what stands for them, and targets (n,)."""
        check_finite(outputs, self.folder, self._count)
        if self.temperature is not None:
            outputs = np.asarray(outputs, np.float64) / self.temperature.value
        self._sums += self.judge.terms(outputs, targets).sum(1)
        self._count += len(targets)
        if len(self._confusion):
            np.add.at(self._confusion, (targets, outputs.argmax(1)), 1)
        if len(self._of_labels):  # outputs are log-odds
            self._of_labels += counts_of_labels(targets > 0.5, outputs > 0)
        if self._collects:
            self._kept.append((outputs, targets))

    def metrics(self) -> dict[str, float]:
        """The metrics of all that was taken in."""
        collected: dict[str, float] = {}
        if self._collects:
            outputs, targets = (np.concatenate(arrays) for arrays in zip(*self._kept, strict=True))
            collected = self.judge.collected(outputs, targets)
        return self.judge.metrics(self._sums / self._count) | collected

    def classes(self) -> PerClass | PerLabel:
        """How each class, or label, is predicted."""
        if len(self._of_labels):
            fitted = self.judge.dataset.fitted
            return per_label_of(fitted.targets, fitted.label_classes, self._of_labels.tolist())
        return per_class_of(self.judge.dataset.classes, self._confusion.tolist())
