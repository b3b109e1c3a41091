"""What outputs of a model say: probabilities, margins, or numbers in the units of the target."""

from __future__ import annotations

import numpy as np

from nnrun.types import Dataset, Loss

__all__ = ["as_pairs", "log_softmax", "predictions_of", "softmax", "targets_of"]


def log_softmax(outputs: np.ndarray) -> np.ndarray:
    """(..., classes) -> (..., classes) float64."""
    z = np.asarray(outputs, np.float64)
    z = z - z.max(-1, keepdims=True)
    return z - np.log(np.exp(z).sum(-1, keepdims=True))


def softmax(outputs: np.ndarray) -> np.ndarray:
    """(..., classes) -> (..., classes) float64."""
    return np.exp(log_softmax(outputs))


def as_pairs(log_odds: np.ndarray) -> np.ndarray:
    """Log-odds (..., k) of several labels -> (..., k, 2) float64, whose softmax is the probability of both classes."""
    z = np.asarray(log_odds, np.float64)
    return np.stack([np.zeros_like(z), z], axis=-1)


def predictions_of(outputs: np.ndarray, loss: Loss, dataset: Dataset) -> np.ndarray:
    """Outputs (n, width) as metrics take them, in float64: what `nnrun predict` writes.

    Of classes (n, classes): probabilities; of scores zₖ, which say nothing but in comparison, the margins
    zₖ − max_{j ≠ k} zⱼ.  Of numbers (n,) in the units of the target, of several targets (n, k).  Of several labels
    (n, k): the probability that each is there.
    """
    z = np.asarray(outputs, np.float64)
    if loss.binary:
        with np.errstate(invalid="ignore"):
            return softmax(as_pairs(z))[..., 1]
    if not loss.classifies:
        return dataset.fitted.to_units(z)
    with np.errstate(invalid="ignore"):  # of a run that diverges
        return softmax(z) if loss.probabilities else _margins(z)


def _margins(z: np.ndarray) -> np.ndarray:
    first = np.arange(z.shape[1]) == z.argmax(1)[:, None]
    second = np.where(first, -np.inf, z).max(1, keepdims=True)
    return z - np.where(first, second, z.max(1, keepdims=True))


def targets_of(dataset: Dataset, part: str) -> np.ndarray:
    """Targets (n,) or (n, k) of train, val or test as metrics take them: labels, or float64 numbers in their units."""
    return dataset.targets[part] if part in dataset.targets else getattr(dataset, part).y
