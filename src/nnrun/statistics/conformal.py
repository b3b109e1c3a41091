"""Split conformal prediction: intervals that hold at a level, from the errors on examples that nobody trained on."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np

__all__ = ["half_width", "least_examples", "rank_of"]


def rank_of(examples: int, level: float) -> int:
    """The rank ⌈(n + 1) · level⌉ of the error that is the half width, of n errors in rising order, counted from 1.

    level   in (0, 1), taken as the decimal number that it is written as: 0.9 is nine tenths
    Where it is larger than n, only an infinite interval holds at this level.
    """
    return math.ceil((examples + 1) * _decimal(level))


def least_examples(level: float) -> int:
    """The fewest examples with which an interval at this level is finite: ⌈level / (1 − level)⌉."""
    exact = _decimal(level)
    return math.ceil(exact / (1 - exact))


def half_width(errors: np.ndarray, level: float) -> float | np.ndarray:
    """The w with which prediction ± w holds the value of a new example with a probability of at least `level`.

    errors   (n,) absolute errors on examples that are exchangeable with the new one, n ≥ least_examples(level); of
             several targets (n, k), each of which has a width of its own, (k,)
    The probability is over the examples and the new one together; given the examples, that of distinct errors has the
    distribution Beta(k, n + 1 − k), k being the rank.
    Source: Lei et al. 2018, "Distribution-free predictive inference for regression", section 2.2.
    """
    width = np.sort(np.asarray(errors), axis=0)[rank_of(len(errors), level) - 1]
    return float(width) if np.ndim(width) == 0 else width


def _decimal(level: float) -> Fraction:
    """The shortest decimal number that is read as this one, which may be one of NumPy's."""
    return Fraction(repr(float(level)))
