"""By how much an ensemble is better than the mean and the best of its members, with intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from nnrun.ensemble.scores import Judge
from nnrun.statistics.gain import resampled, spread, together

__all__ = ["Halves", "gains"]

_RESAMPLES = 1000


class Halves(NamedTuple):
    """Ensembles of half of the members.

    chosen   the members of each
    means    (subsets, terms) of their ensembles
    """

    chosen: list[tuple[int, ...]]
    means: np.ndarray


def gains(
    scores: np.ndarray, judge: Judge, order: Sequence[int] | None, halves: Halves | None
) -> dict[str, Any]:
    """By how much the ensemble, the last of the predictors, is better than the mean and the best member.

    scores   (members and ensemble, terms, n)
    Positive is better for every metric.  Intervals hold 95%: over examples, over members, and over both.
    """
    means = judge.table(scores.mean(2))
    drawn = judge.table(resampled(scores, _RESAMPLES))
    members = len(scores) - 1
    result: dict[str, Any] = {"over_mean": {}, "over_best": None if order is None else {}}
    table = judge.table(halves.means) if halves else {}
    for name, values in means.items():
        sign = judge.metric(name).sign
        references = {"over_mean": None} if order is None else {"over_mean": None, "over_best": order[0]}
        for kind, best in references.items():
            by_example = sign * (drawn[name][:, -1] - _reference(drawn[name][:, :-1], best))
            value = float(sign * (values[-1] - _reference(values[:-1], best)))
            by_member = None
            if halves:
                picked = [
                    _reference(values[list(subset)], None if best is None else _best_of(subset, order or []))
                    for subset in halves.chosen
                ]
                scale = math.sqrt(len(halves.chosen[0]) / (members - len(halves.chosen[0])))
                below, above = spread(sign * (table[name] - np.array(picked)))
                by_member = scale * below, scale * above
            result[kind][name] = together(
                value, {"examples": spread(by_example, value), "members": by_member}
            )
    return result


def _reference(values: np.ndarray, best: int | None) -> Any:
    """The mean over members (last axis), or one of them."""
    return values.mean(-1) if best is None else values[..., best]


def _best_of(subset: Sequence[int], order: Sequence[int]) -> int:
    """Which of some members is the best on validation, as a position among them."""
    return list(subset).index(next(member for member in order if member in subset))
