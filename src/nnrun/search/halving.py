from __future__ import annotations

from typing import Annotated

from annotated_types import Ge, Gt, Lt

from nnrun.options import FixedMark
from nnrun.search.random import random
from nnrun.space import Search

__all__ = ["halving"]


def halving(
    eta: Annotated[int, Ge(2)] = 3, first: Annotated[float, Gt(0), Lt(1), FixedMark()] = 0.1
) -> Search:
    """Successive halving: many random trials begin, and at each rung only the best continue.

    rungs at first · eta^k of the run, k = 0, 1, ... while below 1; 1 / eta of the trials continues after each

    eta     one trial in eta continues: 2, 3, ...
    first   fraction of the run before the first rung, in (0, 1)
    The losers leave the population, and those that continue are packed into smaller programs.
    Use: many trials whose beginnings tell; a learning rate that decays over the run makes early ranks less sure.
    Source: Jamieson & Talwalkar 2016; the rungs are those of ASHA (Li et al. 2020), in step.
    """
    rungs: list[float] = []
    share = first
    while share < 1 - 1e-9:
        rungs.append(share)
        share *= eta
    return random()._replace(rungs=tuple(rungs), keep=1 / eta)
