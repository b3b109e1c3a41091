"""Calibration: whether an accuracy of 80% is meant where a net says 80%."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

__all__ = ["BINS", "Reliability", "error_by_chance", "fit_temperature", "is_at_end", "reliability", "scaled"]

BINS = 15
_DRAWS = 2000  # of calibrated probabilities
_HOTTEST = 100.0


class Reliability(NamedTuple):
    """Confidence against accuracy, in bins of equal width; empty bins are left out.

    error   the expected calibration error Σ_b (n_b / n) |accuracy_b − confidence_b|, in [0, 1]
    """

    error: float
    counts: list[int]
    confidence: list[float]  # mean of the bin
    accuracy: list[float]


def reliability(p: np.ndarray, labels: np.ndarray, bins: int = BINS) -> Reliability:
    """Of predicted probabilities p (n, classes) and labels (n,).

    The confidence of a prediction is its largest probability; bin b holds confidences in (b/bins, (b+1)/bins].
    Source: Guo et al. 2017, "On calibration of modern neural networks", equation 3.
    """
    confidence = np.minimum(p.max(1), 1.0)  # float32 rounds probabilities above 1
    right = (p.argmax(1) == labels).astype(np.float64)
    place = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    counts = np.bincount(place, minlength=bins)
    filled = counts > 0
    sums = [np.bincount(place, values, minlength=bins)[filled] for values in (confidence, right)]
    means = [total / counts[filled] for total in sums]
    error = float((counts[filled] * np.abs(means[0] - means[1])).sum() / len(labels))
    return Reliability(error, counts[filled].tolist(), means[0].tolist(), means[1].tolist())


def error_by_chance(bins: Reliability) -> tuple[float, float]:
    """What calibrated probabilities would have: the mean of their calibration error, and how often it is as large.

    The second is a p-value: (1 + draws with an error of at least `bins.error`) / (1 + draws), where a draw has
    Binomial(n_b, confidence_b) right ones in each bin.  Few examples make a large error by chance alone, so an error
    says nothing without it.  Draws are the same each time.
    """
    counts, confidence = np.array(bins.counts), np.array(bins.confidence)
    right = np.random.default_rng(0).binomial(counts, confidence, (_DRAWS, len(counts)))
    errors = np.abs(right - counts * confidence).sum(1) / counts.sum()
    as_large = int((errors >= bins.error - 1e-12).sum())
    return float(errors.mean()), (1 + as_large) / (1 + _DRAWS)


def scaled(log_p: np.ndarray, temperature: float) -> np.ndarray:
    """softmax(log p / T): probabilities softer for T > 1, (n, classes)."""
    z = log_p / temperature
    z = z - z.max(1, keepdims=True)
    p = np.exp(z)
    return p / p.sum(1, keepdims=True)


def fit_temperature(log_p: np.ndarray, labels: np.ndarray) -> float | None:
    """The T in [1/100, 100] that minimises the cross-entropy of softmax(log p / T); convex in 1/T.

    None where every example is right: the loss then falls for ever as T falls, so there is no best one.

    log_p    (n, classes) log-probabilities or logits
    labels   (n,)
    Source: Guo et al. 2017, section 4.2.
    """
    if (log_p.argmax(1) == labels).all():
        return None
    rows = np.arange(len(labels))

    def loss(log_temperature: float) -> float:
        z = log_p / math.exp(log_temperature)
        z = z - z.max(1, keepdims=True)
        return float((np.log(np.exp(z).sum(1)) - z[rows, labels]).mean())

    edge = math.log(_HOTTEST)
    from scipy.optimize import minimize_scalar  # slow, and who shows a table of errors does not need it

    minimum = minimize_scalar(loss, bounds=(-edge, edge), method="bounded", options={"xatol": 1e-7})
    return math.exp(float(minimum.x))


def is_at_end(temperature: float) -> bool:
    """Whether a temperature that was fitted is an end of the range, so that the best one lies beyond it.

    At the upper end the best is infinite or nearly so: examples are right no more often than the probabilities of
    chance, or less.
    """
    return abs(math.log(temperature)) > math.log(_HOTTEST) - 1e-3
