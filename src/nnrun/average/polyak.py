from __future__ import annotations

from nnrun.average._mean import mean_of
from nnrun.options import Steps
from nnrun.types import Average

__all__ = ["polyak"]


def polyak(start: Steps = 0) -> Average:
    """Polyak: the plain mean of the parameters after every step, from a point of the run on.

    m ← m + (x − m) / n,  n = 1, 2, ... steps after `start`; before it the average is x itself

    start   how long into the run the mean begins, such as 50%
    Source: Polyak & Juditsky 1992, "Acceleration of stochastic approximation by averaging"; Ruppert 1988.
    """
    return mean_of(lambda step: step > start)
