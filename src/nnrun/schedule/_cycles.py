"""A schedule that goes round in cycles."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from jax import Array

__all__ = ["Cycles"]


class Cycles(NamedTuple):
    """A factor, called like any other schedule, and where its cycles end: the states there are snapshots.

    factor   step () -> () in [0, 1]
    ends     steps done at the end of each whole cycle, rising; without a warm-up before
    """

    factor: Callable[[Array], Array]
    ends: tuple[int, ...]

    def __call__(self, step: Array) -> Array:
        return self.factor(step)
