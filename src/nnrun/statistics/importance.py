"""How much the metric depends on each thing that varied, judged from as few as twenty trials.

Ranks of the values, so that a trial that diverged has a place (the last) and outliers do not decide.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

__all__ = ["FEWEST", "Importance", "importance"]

_SHUFFLES = 2000
_BIN = 5  # trials in a bin of a range, at least
_MOST_BINS = 5
FEWEST = 6  # trials below which nothing can be said


class Importance(NamedTuple):
    """What one dimension does to the metric.

    explained    ε²: the share of the variance of the ranks that lies between bins of the dimension, less what
                 chance would give; in [0, 1]
    p            how often shuffled values have as much between their bins
    correlation  Spearman's, positive where the metric rises with the dimension; None for a choice of words
    """

    path: str
    explained: float
    p: float
    correlation: float | None


def importance(path: str, settings: Sequence[Any], values: Sequence[float]) -> Importance | None:
    """The importance of one dimension; None for fewer than six trials or a dimension that did not vary.

    settings   its value in each trial: numbers, binned by quantiles, or choices
    values     of the metric in each trial
    ε² = (H − g + 1) / (n − g),  H = (n − 1) · η² of the ranks (Kruskal & Wallis), g bins of n trials
    A binned share sees a valley, which a correlation does not; what two dimensions do together it does not see.
    """
    n = len(values)
    ranks = _ranks(np.asarray(values, np.float64))
    groups = _groups(settings)
    bins = len(np.unique(groups))
    if n < FEWEST or bins < 2 or np.ptp(ranks) == 0:
        return None
    observed = _between(ranks, groups)
    order = np.argsort(np.random.Philox(key=n).random_raw(_SHUFFLES * n).reshape(_SHUFFLES, n), axis=1)
    shuffled = _between(ranks[order], groups)
    p = (1 + int((shuffled >= observed - 1e-12).sum())) / (1 + _SHUFFLES)
    h = (n - 1) * float(observed)
    explained = (h - bins + 1) / (n - bins) if n > bins else 0.0
    correlation = None
    if _are_numbers(settings):
        coordinates = _ranks(np.asarray(settings, np.float64))
        correlation = float(np.corrcoef(coordinates, ranks)[0, 1])
    return Importance(path, min(max(explained, 0.0), 1.0), p, correlation)


def _between(ranks: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """η², the share of the variance that is between groups: (..., n), (n,) -> (...)."""
    centered = ranks - ranks.mean(axis=-1, keepdims=True)
    sums = sum(
        centered[..., groups == group].sum(axis=-1) ** 2 / (groups == group).sum()
        for group in np.unique(groups)
    )
    return np.asarray(sums) / (centered**2).sum(axis=-1)


def _groups(settings: Sequence[Any]) -> np.ndarray:
    """The bin of each trial: as many trials in each for a range, one for each choice."""
    texts = [repr(setting) for setting in settings]
    different = list(dict.fromkeys(texts))
    bins = min(max(len(settings) // _BIN, 2), _MOST_BINS)
    if not _are_numbers(settings) or len(different) <= bins:
        return np.array([different.index(text) for text in texts])
    ranks = _ranks(np.asarray(settings, np.float64))  # equal numbers have equal ranks and stay together
    return np.minimum((ranks - 0.5) * bins // len(settings), bins - 1).astype(int)


def _ranks(values: np.ndarray) -> np.ndarray:
    """1 ... n in rising order, equal values their mean: (n,) float64."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return (last - (counts - 1) / 2)[inverse]


def _are_numbers(settings: Sequence[Any]) -> bool:
    return all(isinstance(setting, int | float) and not isinstance(setting, bool) for setting in settings)
