"""Values, differences and tests in plain words: what everything in `report` says them by."""

from __future__ import annotations

from nnrun.statistics.compare import Comparison
from nnrun.statistics.metric import Metric

__all__ = [
    "chance",
    "difference",
    "ends_of",
    "gap",
    "level",
    "other_searches",
    "pair_sentence",
    "pair_verdict",
    "short_chance",
    "signed",
    "span",
    "winner",
]


def level(metric: Metric, value: float | None) -> str:
    """A value of a metric: 97.9% for a share, four digits else; a dash for none."""
    if value is None:
        return "–"
    return f"{100 * value:.2f}%" if metric.share else f"{value:.4g}"


def span(metric: Metric, low: float | None, high: float | None) -> str:
    """An interval in brackets, in the units of `level`; nothing for none."""
    if low is None or high is None:
        return ""
    if metric.share:
        return f"[{100 * low:.2f}, {100 * high:.2f}]"
    return f"[{low:.4g}, {high:.4g}]"


def gap(metric: Metric, value: float) -> str:
    """A difference without its sign: in points for a share."""
    return f"{abs(100 * value):.2f} points" if metric.share else f"{abs(value):.3g}"


def chance(p: float) -> str:
    """`p = 0.031`, `p < 0.001`."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.2g}"


def short_chance(p: float | None) -> str:
    """`0.031`, `< 0.001`, for a table; a dash for none."""
    return "–" if p is None else chance(p).removeprefix("p ").removeprefix("= ")


def difference(metric: Metric, pair: Comparison, forward: bool = True) -> str:
    """A difference with its interval, `+1.20 [+0.80, +1.60]`; as that of the second if not `forward`."""
    sign, scale = (1.0 if forward else -1.0), (100.0 if metric.share else 1.0)
    middle = format(sign * scale * pair.difference, "+.2f" if metric.share else "+.3g")
    if pair.low is None or pair.high is None:
        return middle
    return f"{middle} {signed(metric, sign * pair.low, sign * pair.high)}"


def signed(metric: Metric, low: float, high: float) -> str:
    """An interval of a difference, in either order, with signs: `[-0.10, +1.90]`."""
    scale, form = (100.0, "+.2f") if metric.share else (1.0, "+.3g")
    low, high = sorted((scale * low, scale * high))
    return f"[{low:{form}}, {high:{form}}]"


def pair_sentence(metric: Metric, pair: Comparison, averaged: bool = False) -> str:
    """What a comparison says of two alternatives: "A beats B" only if it holds for other searches too.

    averaged   whether each of the two stands for several chosen settings
    """
    seeds = f"{pair.seeds} seeds"
    if not pair.significant:
        return f"{pair.first} and {pair.second} show no significant difference ({chance(pair.adjusted)}, {seeds})"
    ahead = winner(metric, pair)
    behind = pair.second if ahead == pair.first else pair.first
    size = gap(metric, pair.difference)
    here = ends_of(metric, pair.difference, pair.low, pair.high)
    if not pair.searched:
        return f"{ahead} beats {behind} by {size}{here} ({chance(pair.adjusted)}, {seeds})"
    beats = "settings beat" if averaged else "setting beats"
    settings = f"{ahead}'s chosen {beats} {behind}'s by {size}{here} ({chance(pair.adjusted)}, {seeds})"
    if pair.searches is None:
        return f"{settings}; {pair.unknown}, so this says nothing about other searches"
    elsewhere = ends_of(metric, pair.difference, pair.searches.low, pair.searches.high)
    trials = f"{pair.searches.trials} trials"
    claim = chance(pair.adjusted if pair.claim is None else pair.claim)
    if pair.decided:
        ends = f"at these settings{here}, over other searches{elsewhere}"
        return f"{ahead} beats {behind} by {size}: {ends} ({claim}, {seeds}, {trials})"
    return (
        f"{settings}; over other searches{elsewhere} ({claim}, {trials}): another search could turn it round"
    )


def winner(metric: Metric, pair: Comparison) -> str:
    """The one of the two that has the better value."""
    return pair.first if metric.better(pair.difference, 0.0) else pair.second


def pair_verdict(pair: Comparison) -> str:
    """The same in two words, for a table."""
    if not pair.significant:
        return "no significant difference"
    return "different" if pair.decided else "only these settings"


def other_searches(metric: Metric, pair: Comparison) -> str:
    """The interval of first − second over other searches, `[−0.10, +1.90]`; a dash where nothing is known."""
    if pair.searches is None:
        return "–"
    return signed(metric, pair.searches.low, pair.searches.high)


def ends_of(metric: Metric, size: float, low: float | None, high: float | None) -> str:
    """An interval of a difference, as that of its size without the sign: ` [0.65, 0.88]`; nothing for none."""
    if low is None or high is None:
        return ""
    scale = (100.0 if metric.share else 1.0) * (1.0 if size > 0 else -1.0)
    # A metric of which less is better is better by the same amount.
    low, high = sorted((scale * low, scale * high))
    form = ".2f" if metric.share else ".3g"
    return f" [{low:{form}}, {high:{form}}]"
