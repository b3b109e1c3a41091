"""A schedule that goes round in cycles."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from jax import Array

__all__ = ["Cycles"]


@dataclass(frozen=True, eq=False)  # a NamedTuple could not be jitted: it takes no weak references
class Cycles:
    """A factor, called like any other schedule, and where its cycles end: the states there are snapshots.

    factor   step () -> () in [0, 1]
    ends     steps done at the end of each whole cycle, rising; without a warm-up before
    """

    factor: Callable[[Array], Array]
    ends: tuple[int, ...]

    def __call__(self, step: Array) -> Array:
        """The factor at a step."""
        return self.factor(step)
