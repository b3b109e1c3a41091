from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from annotated_types import Ge, Gt, Le, Lt

from nnrun.options import FixedMark, Probability
from nnrun.search.random import random
from nnrun.space import Dimension, Point, Search, Space

__all__ = ["population"]


def population(
    intervals: Annotated[int, Ge(2)] = 10,
    losers: Annotated[float, Gt(0), Le(0.5), FixedMark()] = 0.2,
    reach: Annotated[float, Gt(0), Lt(1), FixedMark()] = 0.1,
    resample: Annotated[Probability, FixedMark()] = 0.25,
) -> Search:
    """Population-based training: the worst continue from the best, with settings near theirs.

    intervals  how many parts the run has; after each but the last, trials are compared
    losers     share of the trials that give up their state: each takes that of one of the same share of the best
               (exploit), and its settings, moved (explore)
    reach      how far a coordinate moves at most, as a fraction of its range
    resample   the chance that a setting is drawn anew instead, in [0, 1]
    Only numbers that may vary inside a program can be searched so: rates, decays, dropout.  The result is a
    schedule as much as a setting; the settings reported are those at the end.
    Source: Jaderberg et al. 2017, "Population based training of neural networks".
    """

    def explore(space: Space, point: Point, draws: Sequence[float]) -> Point:
        return tuple(
            _moved(dimension, u, *draws[2 * i : 2 * i + 2])
            for i, (dimension, u) in enumerate(zip(space, point, strict=True))
        )

    def _moved(dimension: Dimension, u: float, chance: float, draw: float) -> float:
        if chance < resample or not dimension.ordered:
            return draw
        return min(max(u + (2 * draw - 1) * reach, 0.0), 1 - 2.0**-53)

    rungs = tuple(i / intervals for i in range(1, intervals))
    return random()._replace(rungs=rungs, keep=1 - losers, explore=explore)
