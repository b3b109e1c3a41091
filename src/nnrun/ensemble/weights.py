"""Weights of members, fitted on validation data; they are ≥ 0 and sum to 1."""

from __future__ import annotations

import numpy as np
from scipy.optimize import nnls

__all__ = ["mixture_weights", "regression_weights"]

_GAP = 1e-7  # nats per example that the best weights could be better
_MOST = 20_000  # rounds
_FIRM = 1e4  # how much the sum counts beside the residuals


def mixture_weights(likelihood: np.ndarray) -> np.ndarray:
    """The weights w of a mixture that maximise (1/n) Σᵢ log Σₘ wₘ pₘᵢ, by expectation maximisation.

    wₘ ← wₘ · (1/n) Σᵢ pₘᵢ / Σₖ wₖ pₖᵢ

    likelihood   p (members, n): the probability that each member gives the true class of each example
    The problem is concave, and log maxₘ of the factor bounds what is left to gain (Cover 1984).
    Returns (members,).
    """
    p = np.maximum(likelihood, np.finfo(np.float64).tiny)
    weights = np.full(len(p), 1 / len(p))
    for _ in range(_MOST):
        factor = (p / (weights @ p)).mean(1)
        if np.log(factor.max()) < _GAP:
            break
        weights = weights * factor
        weights /= weights.sum()
    return weights


def regression_weights(predicted: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """The weights w that minimise Σᵢ (Σₘ wₘ zₘᵢ − yᵢ)²  (Breiman 1996, "Stacked regressions").

    predicted   z (members, n), of several targets all their numbers
    targets     y (n,)
    Returns (members,).
    """
    # That the weights sum to 1 is one more equation, which counts for more than all others.
    firm = _FIRM * max(1.0, float(np.linalg.norm(predicted)))
    rows = np.vstack([predicted.T, np.full(len(predicted), firm)])
    solution, _ = nnls(rows, np.append(targets, firm))
    return solution / solution.sum()
