"""By how much an ensemble is better than the mean and the best of its members, with intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from nnrun.report.ensemble.account import Gains
from nnrun.statistics.gain import over_members, resampled, spread, together
from nnrun.training.judge import Judge

__all__ = ["LEAST", "MOST", "RESAMPLES", "Halves", "Whole", "gains"]

RESAMPLES = 1000
LEAST = 200  # resamples of a metric that needs all predictions at once,
MOST = 3e7  # and how many predictions it goes through in them


class Halves(NamedTuple):
    """Ensembles of half of the members.

    chosen   the members of each
    means    (subsets, terms) of their ensembles
    """

    chosen: list[tuple[int, ...]]
    means: np.ndarray


class Whole(NamedTuple):
    """Metrics that need all predictions at once, by name.

    values   of each predictor (predictors,)
    drawn    in resamples of the examples (resamples, predictors); of those that have some
    """

    values: Mapping[str, np.ndarray]
    drawn: Mapping[str, np.ndarray]


def gains(
    scores: np.ndarray,
    judge: Judge,
    order: Sequence[int] | None,
    halves: Halves | None,
    whole: Whole | None = None,
) -> Gains:
    """By how much the ensemble, the last of the predictors, is better than the mean and the best member.

    scores   (members and ensemble, terms, n)
    order    the members, the best on validation first; None: nothing was held out, so none is the best
    whole    of the same predictors
    Positive is better for every metric.  Intervals hold 95%: over examples, over members, and over both; of metrics
    that need all predictions at once over examples alone.
    """
    means, drawn = judge.table(scores.mean(2)), judge.table(resampled(scores, RESAMPLES))
    if whole is not None:
        means |= {name: whole.values[name] for name in whole.drawn}
        drawn |= whole.drawn
    table = judge.table(halves.means) if halves else {}
    gained = {}
    for kind, best in {"over_mean": None, **({"over_best": order[0]} if order else {})}.items():
        gained[kind] = {}
        for name, values in means.items():
            sign = judge.metric(name).sign
            by_example = sign * (drawn[name][:, -1] - _reference(drawn[name][:, :-1], best))
            value = float(sign * (values[-1] - _reference(values[:-1], best)))
            by_member = None
            if halves and name in table:
                by_member = _over_halves(
                    values[:-1], sign, table[name], halves, order if best is not None else None
                )
            intervals = {"examples": spread(by_example, value), "members": by_member}
            gained[kind][name] = together(value, intervals)
    return {"over_mean": gained["over_mean"], "over_best": gained.get("over_best")}


def _over_halves(
    values: np.ndarray, sign: float, ensembles: np.ndarray, halves: Halves, order: Sequence[int] | None
) -> tuple[float, float]:
    """How far the gain reaches below and above over the choice of members.

    values      of the members; ensembles: of the halves
    order       where the reference is the best of each half; None: its mean
    """
    picked = [
        _reference(values[list(subset)], None if order is None else _best_of(subset, order))
        for subset in halves.chosen
    ]
    half = over_members(sign * (ensembles - np.array(picked)), len(values), len(halves.chosen[0]))
    return half, half


def _reference(values: np.ndarray, best: int | None) -> np.ndarray:
    """The mean over members (last axis), or one of them."""
    return values.mean(-1) if best is None else values[..., best]


def _best_of(subset: Sequence[int], order: Sequence[int]) -> int:
    """The position within a subset of its member that is best on validation."""
    return list(subset).index(next(member for member in order if member in subset))
