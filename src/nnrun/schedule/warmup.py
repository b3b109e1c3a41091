from __future__ import annotations

from collections.abc import Callable

from jax import Array

from nnrun.options import Steps
from nnrun.schedule._warmup import warmed_up
from nnrun.schedule.constant import constant

__all__ = ["warmup"]


def warmup(steps: Steps) -> Callable[[Array], Array]:
    """Warm-up: a linear rise from 0 to 1, then constant.

    The key `warmup` does the same before any other schedule: {name: cosine, warmup: 5%}.

    steps   duration of the rise
    Use: with large batches, and where the first steps of an optimizer overshoot.
    Source: Goyal et al. 2017, "Accurate, large minibatch SGD".
    """
    return warmed_up(constant(), steps)
