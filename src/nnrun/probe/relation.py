"""Checks of what inputs say about targets: too much (a leak), or nothing (shuffled labels)."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from scipy import stats

from nnrun.probe.finding import Finding, some_of
from nnrun.probe.sample import Sample, groups_of_inputs, sample_of
from nnrun.types import Dataset

__all__ = ["Agreement", "agreement", "check_leaks", "check_relation"]

Trees = Any  # a fitted estimator of scikit-learn

_TREES = 60
_SEED = 0
_COMPONENTS = 48  # of images, for the trees
_MOST_FEATURES = 4096
_LEAST = 30  # examples
_CHANCE = 0.01
_CHANGES = 0.02  # of the changes of labels in no order, beside those between the classes
_FEWEST = 10  # held-out examples that are not of the largest class
_ROUGHNESS = 0.005  # of neighbouring targets along a feature, where that of independent ones is 1
_ENOUGH = 200  # examples of which it is suspicious that they say nothing


def check_leaks(dataset: Dataset, sample: Sample) -> Finding:
    """Whether a feature alone gives away the target.

    Along the sorted feature, a label that it decides changes as often as there are classes, and a target that it
    decides moves in small steps: von Neumann's ratio Σ(yᵢ₊₁ − yᵢ)² / 2Σ(yᵢ − ȳ)² is near 0, where for independent
    targets it is near 1 (von Neumann 1941).
    """
    z = sample.z.reshape(len(sample.z), -1)
    if z.shape[1] > _MOST_FEATURES:
        return Finding("leaks", "skip", f"{z.shape[1]} inputs are too many to look at one by one")
    if len(z) < _LEAST:
        return Finding("leaks", "skip", f"{len(z)} training examples are too few to say")
    groups = groups_of_inputs(dataset)
    values = np.stack([_as_number(z[:, inputs]) for _, inputs, _ in groups], axis=1)
    order = np.random.default_rng(_SEED).permutation(len(z))  # those of one value in no order
    along = order[np.argsort(values[order], axis=0, kind="stable")]
    if _is_labelled(dataset):
        of_labels = [_changes(labels, along) for labels in _labels(sample).T]
        leaks = np.any([of_label.leaks for of_label in of_labels], axis=0)
        closest, chance = min((of_label.closest, of_label.chance) for of_label in of_labels)
        evidence = (
            f"sorted by the most telling feature, the label changes at {closest:.1%} of the examples, in no order at "
            f"{chance:.1%}"
        )
    else:
        ratios = [_ratio(target, along) for target in np.atleast_2d(sample.y.T).astype(np.float64)]
        ratio = np.min(ratios, axis=0)  # of several targets, that which the feature tells most of
        leaks, closest = ratio <= _ROUGHNESS, float(ratio.min())
        evidence = f"von Neumann's ratio of the target along the most telling feature is {closest:.3f}"
    numbers = {"closest": closest}
    if names := [name for (name, _, _), leak in zip(groups, leaks, strict=True) if leak]:
        remedy = "would it be known when predictions are made? if not, leave it out (data.exclude)"
        return Finding(
            "leaks", "warn", f"{some_of(names)} alone gives away the target: {evidence}", remedy, numbers
        )
    return Finding("leaks", "pass", evidence, numbers=numbers)


def _is_labelled(dataset: Dataset) -> bool:
    """Whether targets are labels, one or several."""
    return bool(dataset.classes or dataset.fitted.label_classes)


def _labels(sample: Sample) -> np.ndarray:
    """(n, k) int32: the labels of the examples, k = 1 where there is one."""
    return sample.y.reshape(len(sample.y), -1).astype(np.int32)


class _Changes(NamedTuple):
    """Of a label along each feature: whether that decides it, how often it changes at least, and in no order."""

    leaks: np.ndarray
    closest: float
    chance: float


def _changes(labels: np.ndarray, along: np.ndarray) -> _Changes:
    """How often a label (n,) changes along each feature, whose order is a column of `along` (n, features)."""
    y = labels[along]
    changes = (y[1:] != y[:-1]).mean(0)
    shares = np.bincount(labels) / len(labels)
    chance = 1 - float((shares**2).sum())  # of labels in no order: seldom where one class is rare
    few = (len(np.unique(labels)) - 1) / (len(y) - 1) + _CHANGES * chance
    return _Changes(changes <= few, float(changes.min()), chance)


def _ratio(target: np.ndarray, along: np.ndarray) -> np.ndarray:
    """Von Neumann's ratio of a target (n,) along each feature, whose order is a column of `along` (n, features)."""
    steps = (np.diff(target[along], axis=0) ** 2).sum(0)
    return steps / (2 * max(float(((target - target.mean()) ** 2).sum()), 1e-300))


def _as_number(inputs: np.ndarray) -> np.ndarray:
    """(n,) one number for what a feature became: of names, which one it is."""
    if inputs.shape[1] == 1:
        return inputs[:, 0]
    return inputs @ np.sqrt(np.arange(2, inputs.shape[1] + 2))  # irrational: no two combinations agree


class Agreement(NamedTuple):
    """How well predictions and targets go together: Cohen's kappa or Spearman's correlation, and its p-value."""

    size: float
    chance: float


def check_relation(dataset: Dataset, sample: Sample) -> Finding:
    """Whether trees that see half of the examples predict anything of the other half, and of the held-out parts.

    Where labels do not depend on the inputs, kappa is 0 but for chance: as many agree as the frequencies of classes
    and of predictions make agree, with the variance of a hypergeometric draw.
    """
    classifies = _is_labelled(dataset)
    name, words = "inputs and targets", "kappa" if classifies else "rank correlation"
    if dataset.fitted.label_classes:
        sample = sample._replace(y=_labels(sample))
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
        remedy = "were labels or rows shuffled, or one of two files sorted? if the signal is known to be weak, go on"
        verdict = "fail" if len(sample.y) >= _ENOUGH else "warn"
        return Finding(name, verdict, f"inputs say nothing about targets: {evidence}", remedy, numbers)
    trees = _fitted(features.of(sample.z), sample.y, classifies)
    for part in ("val", "test"):
        held = sample_of(dataset, part, len(sample.y))
        if len(held.y) < _LEAST or len(np.unique(held.y)) < 2:
            continue
        if classifies:
            held = held._replace(y=held.y.astype(np.int32))
            others = [len(labels) - np.bincount(labels).max() for labels in _labels(held).T]
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
        if np.ptp(predictions) == 0:
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
