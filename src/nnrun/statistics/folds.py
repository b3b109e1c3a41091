"""Is one better than another, over the folds of a cross-validation?  The corrected resampled t-test.

Two folds train on mostly the same examples, so the differences of two models vary together from fold to fold, and the
spread that is seen shows only a part of what another sample of examples would change.  A test that takes them for
independent finds differences that are not there, the more often the more folds and repeats there are.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np

from nnrun.statistics.compare import holm, share_higher, with_claims
from nnrun.statistics.comparison import PairComparison
from nnrun.statistics.mean import mean_and_interval

__all__ = ["compare_folds", "corrected_t_test"]


def corrected_t_test(differences: Sequence[float], ratio: float) -> float:
    """The p-value of "no difference" of two or more paired differences, one for each fold, on both sides.

    t = mean / (s · √(1/J + ratio)) with J − 1 degrees of freedom, of J differences of standard deviation s.
    ratio   examples that validate to those that train, > 0
    Source: Nadeau & Bengio 2003, Inference for the Generalization Error, section 3; over repeats of folds: Bouckaert &
    Frank 2004.
    """
    from scipy.special import stdtr

    mean, spread = float(np.mean(differences)), float(np.std(differences, ddof=1))
    if spread <= 1e-12 * max(map(abs, differences)):
        return 0.0 if mean else 1.0
    count = len(differences)
    t = abs(mean) / (spread * math.sqrt(1 / count + ratio))
    return float(2 * stdtr(count - 1, -t))


def compare_folds(values: Mapping[str, Mapping[int, float]], ratio: float) -> list[PairComparison]:
    """Every pair of alternatives that have all folds in common, in the order given.

    values   alternative -> fold -> value of the metric; the same examples validate in the same fold of all
    ratio    examples that validate to those that train
    """
    pairs = []
    for first, second in combinations(values, 2):
        if len(values[first]) >= 2 and values[first].keys() == values[second].keys():
            differences = [value - values[second][fold] for fold, value in values[first].items()]
            pairs.append((first, second, differences, corrected_t_test(differences, ratio)))
    adjusted = holm([p for *_, p in pairs])
    comparisons = []
    for (first, second, differences, p), corrected in zip(pairs, adjusted, strict=True):
        mean, half = mean_and_interval(differences, ratio=ratio)
        half = half or 0.0
        comparison = PairComparison(
            first, second, mean, mean - half, mean + half, p, corrected, len(differences), None
        )
        higher = share_higher([*values[first].values()], [*values[second].values()])
        comparisons.append(comparison._replace(higher=higher, unit="folds"))
    return with_claims(comparisons)
