"""The loss along the straight line between the parameters of two members.

A barrier between them says that they lie in different basins, so that their average lies on the ridge
(Frankle et al. 2020, "Linear mode connectivity").
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

__all__ = ["POINTS", "along", "barrier", "between"]

POINTS = 11
Arrays = Mapping[str, np.ndarray]


def between(a: Arrays, b: Arrays, alpha: float) -> dict[str, np.ndarray]:
    """(1 − α)·a + α·b for parameters, summed in float64; the rest is a's."""

    def mixed(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return ((1 - alpha) * x.astype(np.float64) + alpha * y.astype(np.float64)).astype(x.dtype)

    return {name: mixed(x, b[name]) if name.startswith("params/") else x for name, x in a.items()}


def along(
    a: Arrays, b: Arrays, measure: Callable[[dict[str, np.ndarray]], Mapping[str, float]], points: int
) -> list[dict[str, float]]:
    """Metrics at evenly spaced points of the line, ends included: {"alpha": α, name: value}.

    measure   arrays -> metrics, with batch-norm statistics measured anew: those of an end fit nowhere else
    """
    return [
        {"alpha": float(alpha), **measure(between(a, b, float(alpha)))} for alpha in np.linspace(0, 1, points)
    ]


def barrier(line: Sequence[Mapping[str, float]], name: str = "loss") -> float:
    """The largest rise above the straight line between the values at both ends: ≥ 0."""
    ends = line[0][name], line[-1][name]
    return max(point[name] - ((1 - point["alpha"]) * ends[0] + point["alpha"] * ends[1]) for point in line)
