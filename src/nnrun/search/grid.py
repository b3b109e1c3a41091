from __future__ import annotations

import math
from collections.abc import Sequence

from nnrun.options import Count
from nnrun.space import Observation, Point, Search, Space

__all__ = ["grid"]


def grid(points: Count = 5) -> Search:
    """Every combination: all values of a list, evenly spaced ones of a range, ends included.

    points   values of each range; a list, or whole numbers that are no more, come all
    Use: one or two dimensions, and choices that must all be seen.  With more, random search sees more values of
    each dimension for the same number of trials.
    """

    def ask(space: Space, seed: int, first: int, count: int, seen: Sequence[Observation]) -> list[Point]:
        del seed, seen
        axes = [dimension.grid(points) for dimension in space]
        return [_corner(axes, number) for number in range(first, first + count)]

    def most(space: Space) -> int:
        return math.prod(len(dimension.grid(points)) for dimension in space)

    return Search(ask, most=most)


def _corner(axes: list[list[float]], number: int) -> Point:
    """The combination of this number; the last dimension changes fastest."""
    coordinates: list[float] = []
    for axis in reversed(axes):
        number, place = divmod(number, len(axis))
        coordinates.append(axis[place])
    return tuple(reversed(coordinates))
