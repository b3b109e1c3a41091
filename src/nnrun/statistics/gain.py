"""What an ensemble gained over its members, with intervals.

Two things are left to chance: which examples were tested, and which members were trained.  The first is
simulated by the bootstrap over examples, the second by halves of the members: the ensemble's error from its
choice of M members is to the spread over subsets of size h as √(h / (M − h)), which is 1 for halves (delete-d
jackknife; Shao & Wu 1989).  It is known from few members, so its interval has Student's factor; the quantiles of the
halves themselves, which share members, hold 95% only where members are many.  Both together add in quadrature.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

__all__ = [
    "LEVEL", "over_members", "resampled", "resampled_rows", "resamples", "spread", "subsets", "together",
]  # fmt: skip

LEVEL = 0.95
_BLOCK = 50  # resamples at a time,
_BYTES = 64 << 20  # unless they need more than this


def resamples(examples: int, count: int) -> Iterator[np.ndarray]:
    """`count` bootstrap samples as how often each example is drawn: blocks (some, examples) float64.

    The draws are raw words of Philox, which NumPy promises to keep, so the same call gives the same intervals.
    """
    words = np.random.Philox(key=0)
    size = max(1, min(_BLOCK, _BYTES // (8 * examples)))
    for start in range(0, count, size):
        block = np.empty((min(size, count - start), examples))
        for row in block:
            drawn = (words.random_raw(examples) % np.uint64(examples)).astype(np.int64)
            row[:] = np.bincount(drawn, minlength=examples)
        yield block


def resampled(scores: np.ndarray, count: int) -> np.ndarray:
    """Means over bootstrap samples of the examples: scores (predictors, terms, n) -> (count, predictors, terms)."""
    predictors, terms, examples = scores.shape
    flat = scores.reshape(predictors * terms, examples).T
    means = [block @ flat / examples for block in resamples(examples, count)]
    return np.concatenate(means).reshape(count, predictors, terms)


def resampled_rows(examples: int, count: int) -> Iterator[np.ndarray]:
    """The same bootstrap samples as positions (examples,), rising: for what is no mean over examples."""
    positions = np.arange(examples)
    for block in resamples(examples, count):
        for drawn in block:
            yield np.repeat(positions, drawn.astype(np.int64))


def subsets(members: int, size: int, most: int) -> list[tuple[int, ...]]:
    """Different subsets of this many members: all of them, or `most` drawn without preference."""
    if math.comb(members, size) <= most:
        return list(itertools.combinations(range(members), size))
    words = np.random.Philox(key=np.array([members, size], np.uint64))
    drawn_subsets: dict[tuple[int, ...], None] = {}
    while len(drawn_subsets) < most:
        drawn = np.argsort(words.random_raw(members), kind="stable")[:size]
        drawn_subsets[tuple(sorted(drawn.tolist()))] = None
    return list(drawn_subsets)


def over_members(values: np.ndarray, members: int, size: int) -> float:
    """Half the width of the 95% interval over the choice of members.

    values   of a statistic of different subsets of `size` of the members: all subsets, or some; NaN is left out
    It is t · √(size / (members − size)) · (their standard deviation).  t has members − 1 degrees of freedom, and fewer
    where only k of the subsets are known: 1 / (1 / (members − 1) + 1 / k), as relative variances of variances add.
    For a mean and all subsets it is Student's interval.
    """
    from scipy.special import stdtrit  # scipy.stats would add half a second

    finite = values[~np.isnan(values)]
    if len(finite) < 2:
        return math.nan
    known_all = len(values) == math.comb(members, size)
    freedom = members - 1 if known_all else 1 / (1 / (members - 1) + 1 / len(finite))
    error = math.sqrt(size / (members - size)) * float(finite.std(ddof=0 if known_all else 1))
    return float(stdtrit(freedom, (1 + LEVEL) / 2)) * error


def spread(values: Sequence[float] | np.ndarray, center: float | None = None) -> tuple[float, float]:
    """How far the middle 95% of the values reach below and above their mean, or above a center: both ≥ 0.

    Their ends are quantiles, by linear interpolation.  A NaN is left out: a resample of one example over and
    over has no r2.
    """
    finite = np.asarray(values, np.float64)
    finite = finite[~np.isnan(finite)]
    if not len(finite):
        return math.nan, math.nan
    middle = float(finite.mean()) if center is None else center
    low, high = np.quantile(finite, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return max(0.0, middle - float(low)), max(0.0, float(high) - middle)


def together(value: float, parts: Mapping[str, tuple[float, float] | None]) -> dict[str, object]:
    """A value and its intervals: one for each source of chance, and `both`, the half widths added in quadrature."""
    known = [part for part in parts.values() if part is not None]
    intervals: dict[str, object] = {"value": value}
    for name, part in parts.items():
        intervals[name] = None if part is None else [value - part[0], value + part[1]]
    below, above = (math.sqrt(sum(part[side] ** 2 for part in known)) for side in (0, 1))
    intervals["both"] = [value - below, value + above] if len(known) > 1 else None
    return intervals
