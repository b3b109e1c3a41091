from __future__ import annotations

from collections.abc import Sequence

from nnrun.space import Observation, Point, Search, Space, draws

__all__ = ["random"]


def random() -> Search:
    """Random search: every trial draws each of its values anew.

    u_d ~ Uniform[0, 1) independently for each dimension d

    Use: the default.  Every trial tries another value of the dimension that matters, where a grid repeats a few.
    Source: Bergstra & Bengio 2012, "Random search for hyper-parameter optimization".
    """

    def ask(space: Space, seed: int, first: int, count: int, seen: Sequence[Observation]) -> list[Point]:
        del seen
        return [draws(seed, number, len(space)) for number in range(first, first + count)]

    return Search(ask)
