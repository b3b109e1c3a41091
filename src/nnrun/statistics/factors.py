"""What each factor does by itself, and what two do together, where alternatives are all combinations of factors.

The values of one seed form a table with an axis for each factor.  Everything is computed for each seed, and tested by
flipping the signs of seeds, as pairs are.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from nnrun.statistics.blocks import Side, with_searches
from nnrun.statistics.compare import holm, over_examples, seeds_for, share_higher, with_claims
from nnrun.statistics.comparison import PairComparison
from nnrun.statistics.searches import Searched
from nnrun.statistics.sign_flips import ALPHA, sign_flip_interval, sign_flip_test, sign_flips
from nnrun.statistics.studies import study_comparison

__all__ = ["Cell", "Factors", "Interaction", "MainEffect", "factor_effects"]


class Cell(NamedTuple):
    """One combination of levels.

    values    seed -> value of the metric; where whole searches were repeated, study -> value
    searched  the trials that its setting was chosen from; why they say nothing of other searches; None: it was not
              searched for, or its searches were repeated
    resamples the mean over the seeds in resamples of the examples; None where that is not known
    """

    values: Mapping[int, float]
    searched: Searched | str | None = None
    resamples: np.ndarray | None = None


class MainEffect(NamedTuple):
    """Two levels of a factor, each averaged over all levels of the other factors."""

    factor: str
    pair: PairComparison


class Interaction(NamedTuple):
    """Whether what one factor does depends on the level of another.

    p           of "every combination is the sum of both effects"; `adjusted`: corrected with all other tests
    levels      the combination that is farthest from that sum; it is higher by `excess`, `ends` its 95% interval
    """

    factors: tuple[str, str]
    levels: tuple[str, str]
    excess: float
    ends: tuple[float, float] | None
    p: float
    adjusted: float
    seeds: int

    @property
    def significant(self) -> bool:
        """Whether it is more than chance at these settings, at 5% over all tests of the factors together."""
        return self.adjusted <= ALPHA


class Factors(NamedTuple):
    """All effects.

    levels   factor -> its levels
    means    of each combination of levels
    studies  whether whole searches were repeated, so that studies are counted, not seeds
    """

    levels: dict[str, tuple[str, ...]]
    means: dict[tuple[str, ...], float]
    effects: list[MainEffect]
    interactions: list[Interaction]
    studies: bool = False


def factor_effects(
    factors: Sequence[str], cells: Mapping[tuple[str, ...], Cell], looks: int = 1, studies: bool = False
) -> Factors | None:
    """Main effects of all pairs of levels, and the interactions of all pairs of factors.

    factors   two or more
    cells     levels, in the order of the factors -> what there is of this combination
    looks     how often such an answer is looked at before it is the last
    studies   whether the values are of studies, which have nothing in common, so that effects are not paired
    None where a combination is missing, a factor has one level only, or fewer than two seeds are common to all.
    p-values are corrected by Holm's method over all tests that are made here.
    """
    levels = {factor: tuple(dict.fromkeys(cell[i] for cell in cells)) for i, factor in enumerate(factors)}
    combinations = list(itertools.product(*levels.values()))
    if not cells or set(combinations) != set(cells) or any(len(names) < 2 for names in levels.values()):
        return None
    seeds = sorted(set.intersection(*(set(cell.values) for cell in cells.values())))
    if len(seeds) < 2:
        return None
    values = np.array([[cells[combination].values[seed] for seed in seeds] for combination in combinations])
    table = values.reshape(*map(len, levels.values()), len(seeds))
    pairs = sum(math.comb(len(names), 2) for names in levels.values())
    tests = pairs + math.comb(len(levels), 2)
    effects = list(_effects(levels, table, cells, seeds, tests * looks, studies))
    interactions = list(_interactions(levels, table))
    p_values = [effect.pair.p for effect in effects] + [interaction.p for interaction in interactions]
    corrected = holm(p_values, looks)
    compared = with_claims(
        [effect.pair._replace(adjusted=p) for effect, p in zip(effects, corrected, strict=False)], looks
    )
    return Factors(
        levels,
        dict(zip(combinations, values.mean(axis=1).tolist(), strict=True)),
        [effect._replace(pair=pair) for effect, pair in zip(effects, compared, strict=True)],
        [
            interaction._replace(adjusted=p)
            for interaction, p in zip(interactions, corrected[pairs:], strict=True)
        ],
        studies,
    )


def _effects(
    levels: Mapping[str, tuple[str, ...]],
    table: np.ndarray,
    cells: Mapping[tuple[str, ...], Cell],
    seeds: Sequence[int],
    tests: int,
    studies: bool,
) -> Iterator[MainEffect]:
    compared = study_comparison if studies else _paired
    for axis, (factor, names) in enumerate(levels.items()):
        averaged = _averaged(table, axis)
        for first, second in itertools.combinations(range(len(names)), 2):
            a, b = averaged[first].tolist(), averaged[second].tolist()
            pair = compared(names[first], names[second], a, b, tests)
            blocks = [
                (cell, cells[(*combination[:axis], names[second], *combination[axis + 1 :])])
                for combination, cell in cells.items()
                if combination[axis] == names[first]
            ]
            firsts, seconds = ([block[side].resamples for block in blocks] for side in (0, 1))
            pair = pair._replace(examples=over_examples(pair.difference, firsts, seconds))
            sides = [
                (Side(_common(a, seeds), a.searched), Side(_common(b, seeds), b.searched)) for a, b in blocks
            ]
            yield MainEffect(factor, with_searches(pair, sides, None))


def _paired(first: str, second: str, a: Sequence[float], b: Sequence[float], tests: int) -> PairComparison:
    """Two levels by their values of the same seeds; nothing is corrected yet."""
    differences = np.subtract(a, b).tolist()
    low, high = sign_flip_interval(differences) or (None, None)
    p, needed = sign_flip_test(differences), seeds_for(differences, tests)
    mean, higher = float(np.mean(differences)), share_higher(a, b)
    return PairComparison(first, second, mean, low, high, p, p, len(a), needed, higher=higher)


def _common(cell: Cell, seeds: Sequence[int]) -> dict[int, float]:
    return {seed: cell.values[seed] for seed in seeds}


def _averaged(table: np.ndarray, *axes: int) -> np.ndarray:
    """The mean over all factors but these: an axis for each, then the seeds."""
    others = tuple(axis for axis in range(table.ndim - 1) if axis not in axes)
    return table.mean(axis=others)


def _interactions(levels: Mapping[str, tuple[str, ...]], table: np.ndarray) -> Iterator[Interaction]:
    for (i, first), (j, second) in itertools.combinations(enumerate(levels), 2):
        averaged = _averaged(table, i, j)  # (levels of the first, levels of the second, seeds)
        excess = (
            averaged
            - averaged.mean(axis=0, keepdims=True)
            - averaged.mean(axis=1, keepdims=True)
            + averaged.mean(axis=(0, 1), keepdims=True)
        )
        seeds = table.shape[-1]
        flipped = sign_flips(seeds) @ excess.reshape(-1, seeds).T / seeds
        squares = (flipped**2).sum(axis=1)
        observed = float((excess.mean(axis=-1) ** 2).sum())
        # What is equal but for rounding is as far.
        p = float(np.mean(squares >= observed * (1 - 1e-9)))
        row, column = np.unravel_index(np.abs(excess.mean(axis=-1)).argmax(), excess.shape[:2])
        farthest = excess[row, column]
        names, ends = (levels[first][row], levels[second][column]), sign_flip_interval(farthest)
        yield Interaction((first, second), names, float(farthest.mean()), ends, p, p, seeds)
