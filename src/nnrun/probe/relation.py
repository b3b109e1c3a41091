"""The check of whether inputs say anything about targets: where not, labels may be shuffled."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from scipy import stats

from nnrun.probe.finding import Finding
from nnrun.probe.sample import Sample, is_labelled, labels_of, sample_of
from nnrun.types import Dataset

__all__ = ["Agreement", "agreement", "check_relation"]

Trees = Any  # a fitted estimator of scikit-learn

_TREES = 60
_SEED = 0
_COMPONENTS = 48  # of images, for the trees
_LEAST = 30  # examples
_CHANCE = 0.01
_FEWEST = 10  # held-out examples that are not of the largest class
_ENOUGH = 200  # examples of which it is suspicious that they say nothing


class Agreement(NamedTuple):
    """How well predictions and targets go together: Cohen's kappa or Spearman's correlation, and its p-value."""

    size: float
    chance: float


def check_relation(dataset: Dataset, sample: Sample) -> Finding:
    """Whether trees that see half of the examples predict anything of the other half, and of the held-out parts.

    Where labels do not depend on the inputs, kappa is 0 but for chance: as many agree as the frequencies of classes
    and of predictions make agree, with the variance of a hypergeometric draw.
    """
    classifies = is_labelled(dataset)
    name, words = "inputs and targets", "kappa" if classifies else "rank correlation"
    if dataset.fitted.label_classes:
        sample = sample._replace(y=labels_of(sample))
    if len(sample.y) < _LEAST or len(np.unique(sample.y)) < 2:
        return Finding(name, "skip", f"{len(sample.y)} training examples are too few to say")
    features = _Features(sample.z)
    crossed = np.zeros(sample.y.shape, sample.y.dtype)
    halves = np.random.default_rng(_SEED).permutation(len(sample.y)) % 2
    for half in (0, 1):
        trees = _fitted(features.of(sample.z[halves != half]), sample.y[halves != half], classifies)
        crossed[halves == half] = trees.predict(features.of(sample.z[halves == half])).astype(crossed.dtype)
    inside = agreement(crossed, sample.y, classifies)
    numbers = {"train": inside.size, "chance": inside.chance}
    evidence = (
        f"{words} {inside.size:.2f} between targets and what trees predict of them (p = {inside.chance:.2g})"
    )
    if inside.chance > _CHANCE:
        remedy = "were labels or rows shuffled, or one of two files sorted? if the signal is known to be weak, continue"
        verdict = "fail" if len(sample.y) >= _ENOUGH else "warn"
        return Finding(name, verdict, f"inputs say nothing about targets: {evidence}", remedy, numbers)
    trees = _fitted(features.of(sample.z), sample.y, classifies)
    for part in ("val", "test"):
        held = sample_of(dataset, part, len(sample.y))
        if len(held.y) < _LEAST or len(np.unique(held.y)) < 2:
            continue
        if classifies:
            held = held._replace(y=held.y.astype(np.int32))
            others = [len(labels) - np.bincount(labels).max() for labels in labels_of(held).T]
            if max(others) < _FEWEST:
                continue
        outside = agreement(trees.predict(features.of(held.z)), held.y, classifies)
        numbers |= {part: outside.size}
        evidence += f", {outside.size:.2f} in {part}"
        if outside.chance > _CHANCE and outside.size < inside.size / 4 and inside.size > 0.3:
            remedy = f"are inputs and targets of the {part} part in the same order, and the classes numbered alike?"
            return Finding(name, "fail", evidence, remedy, numbers)
    return Finding(name, "pass", evidence, numbers=numbers)


class _Features:
    """Inputs as the trees take them: vectors as they are, images as their main components."""

    def __init__(self, z: np.ndarray) -> None:
        from sklearn.decomposition import PCA

        flat = z.reshape(len(z), -1)
        self._reduce = None
        if flat.shape[1] > 2 * _COMPONENTS and len(flat) > _COMPONENTS:
            self._reduce = PCA(_COMPONENTS, svd_solver="randomized", random_state=_SEED).fit(flat)

    def of(self, z: np.ndarray) -> np.ndarray:
        flat = z.reshape(len(z), -1)
        return flat if self._reduce is None else self._reduce.transform(flat)


def _fitted(features: np.ndarray, targets: np.ndarray, classifies: bool) -> Trees:
    from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor

    if classifies:
        balanced = ExtraTreesClassifier(
            _TREES, min_samples_leaf=3, class_weight="balanced", random_state=_SEED
        )
        return balanced.fit(features, targets)
    return ExtraTreesRegressor(_TREES, min_samples_leaf=3, random_state=_SEED).fit(features, targets)


def agreement(predictions: np.ndarray, targets: np.ndarray, classifies: bool) -> Agreement:
    """Of labels (n,) or numbers (n,), and how likely as much is by chance: one-sided, for many examples.

    Of several targets (n, k) that which agrees best, with Bonferroni's correction.
    """
    if predictions.ndim > 1:
        of_each = [agreement(*pair, classifies) for pair in zip(predictions.T, targets.T, strict=True)]
        best = min(of_each, key=lambda each: each.chance)
        return Agreement(best.size, min(1.0, len(of_each) * best.chance))
    if not classifies:
        if np.ptp(predictions) == 0 or np.ptp(targets) == 0:  # of several targets, one may not vary in a part
            return Agreement(0.0, 1.0)
        size, chance = stats.spearmanr(predictions, targets, alternative="greater")
        return Agreement(float(size), float(chance))  # pyright: ignore[reportArgumentType]
    predictions = predictions.astype(np.int64)  # those of several labels are floats
    count = len(targets)
    kinds = int(max(predictions.max(), targets.max())) + 1
    a, b = (np.bincount(labels, minlength=kinds) / count for labels in (predictions, targets))
    expected = float((a * b).sum())
    observed = float((predictions == targets).mean())
    # Fleiss, Cohen & Everitt 1969: the variance of the agreement where both are independent
    variance = (expected + expected**2 - float((a * b * (a + b)).sum())) / count
    if variance <= 0 or expected >= 1:
        return Agreement(0.0, 1.0)
    z = (observed - expected) / math.sqrt(variance)
    return Agreement((observed - expected) / (1 - expected), float(stats.norm.sf(z)))
