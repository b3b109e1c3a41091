from __future__ import annotations

from collections.abc import Sequence

from nnrun.space import Observation, Point, Search, Space, draws

__all__ = ["halton"]


def halton() -> Search:
    """Scrambled Halton sequence: random search without its clumps and gaps.

    u_d of trial i = the digits of i in the d-th prime base, permuted at random, mirrored at the point

    Use: in place of random search where few trials must cover a space of up to about six dimensions.
    Source: Halton 1960; scrambling by Owen 2017; SciPy's `qmc.Halton`.
    """

    def ask(space: Space, seed: int, first: int, count: int, seen: Sequence[Observation]) -> list[Point]:
        del seen
        if not space:
            return [()] * count
        from scipy.stats import qmc

        sequence = qmc.Halton(len(space), scramble=True, rng=int(draws(seed, 0, 1)[0] * 2**32))
        sequence.fast_forward(first)
        return [tuple(map(float, row)) for row in sequence.random(count)]

    return Search(ask)
