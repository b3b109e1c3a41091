"""The check of features that give the target away, each alone."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from nnrun.probe.finding import Finding, some_of
from nnrun.probe.sample import Sample, groups_of_inputs, is_labelled, labels_of
from nnrun.types import Dataset

__all__ = ["check_leaks"]

_SEED = 0
_MOST_FEATURES = 4096
_LEAST = 30  # examples
_CHANGES = 0.02  # of the changes of labels in no order, beside those between the classes
_OF_NAME = 5  # examples with the same value, on average, make values names
_ROUGHNESS = 0.005  # of neighbouring targets along a feature, where that of independent ones is 1


def check_leaks(dataset: Dataset, sample: Sample) -> Finding:
    """Whether a feature alone gives away the target.

    Along the sorted feature, a label that it decides changes as often as there are classes, and a target that it
    decides moves in small steps: von Neumann's ratio Σ(yᵢ₊₁ − yᵢ)² / 2Σ(yᵢ − ȳ)² is near 0, where for independent
    targets it is near 1 (von Neumann 1941).  Names, and numbers that are codes, have no order, so what the other
    examples of a name say of one is looked at too.
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
    if is_labelled(dataset):
        of_labels = [_changes(labels, along, values) for labels in labels_of(sample).T]
        leaks = np.any([of_label.leaks for of_label in of_labels], axis=0)
        closest, chance = min((of_label.closest, of_label.chance) for of_label in of_labels)
        evidence = (
            f"along the most telling feature the label changes at {closest:.1%} of the examples, in no order at "
            f"{chance:.1%}"
        )
    else:
        targets = np.atleast_2d(sample.y.T).astype(np.float64)
        ratios = [np.minimum(_ratio(target, along), _spread_within(target, values)) for target in targets]
        ratio = np.min(ratios, axis=0)  # of several targets, that which the feature tells most of
        leaks, closest = ratio <= _ROUGHNESS, float(ratio.min())
        evidence = f"von Neumann's ratio of the target along the most telling feature is {closest:.3f}"
    numbers = {"closest": closest}
    if names := [name for (name, _, _), leak in zip(groups, leaks, strict=True) if leak]:
        several = len(names) > 1
        evidence = f"{some_of(names)}{': each' if several else ''} alone gives away the target: {evidence}"
        known = "would they be known" if several else "would it be known"
        remedy = f"{known} when predictions are made? if not, leave {'them' if several else 'it'} out (data.exclude)"
        return Finding("leaks", "warn", evidence, remedy, numbers)
    return Finding("leaks", "pass", evidence, numbers=numbers)


class _Changes(NamedTuple):
    """Of a label along each feature: whether that decides it, how often it changes at least, and in no order."""

    leaks: np.ndarray
    closest: float
    chance: float


def _changes(labels: np.ndarray, along: np.ndarray, values: np.ndarray) -> _Changes:
    """How often a label (n,) changes along each feature, whose order is a column of `along` (n, features).

    values   (n, features): of names that have several examples each, what counts is how often a label is not the most
             frequent one of the others of its name
    """
    y = labels[along]
    changes = (y[1:] != y[:-1]).mean(0)
    strangers = np.array([_strangers(labels, feature) for feature in values.T])
    shares = np.bincount(labels) / len(labels)
    chance = 1 - float((shares**2).sum())  # of labels in no order: seldom where one class is rare
    few = (len(np.unique(labels)) - 1) / (len(y) - 1) + _CHANGES * chance
    leaks = ((changes <= few) | (strangers <= _CHANGES * chance)) & (chance > 0)
    return _Changes(leaks, float(min(changes.min(), strangers.min())), chance)


def _groups(feature: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """Of a feature (n,) that takes few values: which one each example has, and how many have it; None of others."""
    if np.ptp(feature) == 0:
        return None
    distinct, which, counts = np.unique(feature, return_inverse=True, return_counts=True)
    return (which, counts) if len(distinct) * _OF_NAME <= len(feature) else None


def _strangers(labels: np.ndarray, feature: np.ndarray) -> float:
    """The share of examples whose label is not the most frequent among the others with the same value; 1 if unknown."""
    groups = _groups(feature)
    if groups is None:
        return 1.0
    which, counts = groups
    table = np.zeros((len(counts), int(labels.max()) + 1))
    np.add.at(table, (which, labels), 1)
    others = table[which]
    others[np.arange(len(labels)), labels] -= 1
    right = (others.argmax(1) == labels) & (others.max(1) > 0)
    return float(1 - right.mean())


def _spread_within(target: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Of each feature with few values, the variance of a target (n,) within them over the whole; 1 of others."""
    whole = max(float(((target - target.mean()) ** 2).sum()), 1e-300)
    shares = np.ones(values.shape[1])
    for i, feature in enumerate(values.T):
        if (groups := _groups(feature)) is not None:
            which, counts = groups
            means = np.bincount(which, target) / counts
            within = np.bincount(which, (target - means[which]) ** 2)
            single = np.bincount(which, (target - target.mean()) ** 2)  # of one example, nothing is known
            shares[i] = (
                np.where(counts > 1, within * counts / np.maximum(counts - 1, 1), single).sum() / whole
            )
    return shares


def _ratio(target: np.ndarray, along: np.ndarray) -> np.ndarray:
    """Von Neumann's ratio of a target (n,) along each feature, whose order is a column of `along` (n, features)."""
    steps = (np.diff(target[along], axis=0) ** 2).sum(0)
    return steps / (2 * max(float(((target - target.mean()) ** 2).sum()), 1e-300))


def _as_number(inputs: np.ndarray) -> np.ndarray:
    """(n,) one number for what a feature became: of names, which one it is."""
    if inputs.shape[1] == 1:
        return inputs[:, 0]
    return inputs @ np.sqrt(np.arange(2, inputs.shape[1] + 2))  # irrational: no two combinations agree
