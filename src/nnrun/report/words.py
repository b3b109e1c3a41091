"""Values, differences and tests in plain words: what everything in `report` says them by."""

from __future__ import annotations

from nnrun.amounts import figure
from nnrun.statistics.comparison import PairComparison
from nnrun.statistics.metric import Metric

__all__ = [
    "chance",
    "difference",
    "ends_of",
    "gap",
    "other_searches",
    "over_examples",
    "overall",
    "pair_sentence",
    "pair_verdict",
    "short_chance",
    "signed",
    "winner",
    "with_ends",
]


def gap(metric: Metric, value: float) -> str:
    """A difference without its sign: in points for a share."""
    return f"{abs(100 * value):.2f} points" if metric.share else figure(abs(value), 3)


def chance(p: float) -> str:
    """`p = 0.031`, `p < 0.001`."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.2g}"


def short_chance(p: float | None) -> str:
    """`0.031`, `< 0.001`, for a table; a dash for none."""
    return "–" if p is None else chance(p).removeprefix("p ").removeprefix("= ")


def difference(metric: Metric, pair: PairComparison, forward: bool = True) -> str:
    """A difference with its interval, `+1.20 [+0.80, +1.60]`; as that of the second if not `forward`."""
    sign = 1.0 if forward else -1.0
    ends = None if pair.low is None or pair.high is None else (sign * pair.low, sign * pair.high)
    return with_ends(metric, sign * pair.difference, ends)


def with_ends(metric: Metric, value: float, ends: tuple[float, float] | None) -> str:
    """A number with its sign and its interval, `+1.20 [+0.80, +1.60]`, in points for a share."""
    middle = _with_sign(metric, value)
    return middle if ends is None else f"{middle} {signed(metric, *ends)}"


def _with_sign(metric: Metric, value: float) -> str:
    return f"{100 * value:+.2f}" if metric.share else figure(value, 3, "+")


def signed(metric: Metric, low: float, high: float) -> str:
    """An interval of a difference, in either order, with signs: `[-0.10, +1.90]`."""
    low, high = sorted((low, high))
    return f"[{_with_sign(metric, low)}, {_with_sign(metric, high)}]"


def pair_sentence(metric: Metric, pair: PairComparison, averaged: bool = False) -> str:
    """What a comparison says of two alternatives: "A beats B" only if it holds for other searches and examples too.

    averaged   whether each of the two stands for several chosen settings
    """
    seeds = pair.units
    if not pair.significant:
        return f"{pair.first} and {pair.second} show no significant difference ({chance(pair.adjusted)}, {seeds})"
    ahead = winner(metric, pair)
    behind = pair.second if ahead == pair.first else pair.first
    size, here = gap(metric, pair.difference), ends_of(metric, pair.difference, pair.low, pair.high)
    examples = (
        f"over other examples{ends_of(metric, pair.difference, *pair.examples)}" if pair.examples else ""
    )
    if pair.decided:
        return f"{ahead} beats {behind} by {size}{_decided(metric, pair, here, examples)}"
    if pair.studies is not None:
        found = f"{ahead}'s searches beat {behind}'s by {size}{here} ({chance(pair.adjusted)}, {seeds})"
        if pair.unknown:
            return f"{found}; {pair.unknown}, so this says nothing about the methods"
        return f"{found}; {_undecided(metric, pair, examples)}"
    beats = "settings beat" if averaged else "setting beats"
    subject = f"{ahead}'s chosen {beats} {behind}'s" if pair.searched else f"{ahead} beats {behind} here"
    found = f"{subject} by {size}{here} ({chance(pair.adjusted)}, {seeds})"
    if pair.searched and pair.searches is None:
        return f"{found}; {pair.unknown}, so this says nothing about other searches"
    return f"{found}; {_undecided(metric, pair, examples)}"


def _decided(metric: Metric, pair: PairComparison, here: str, examples: str) -> str:
    """What stands behind the size of a difference that holds: the interval over all sources, and of each."""
    claim = chance(pair.adjusted if pair.verdict is None else pair.verdict)
    counts = f"{claim}, {pair.units}" + (f", {pair.searches.trials} trials" if pair.searches else "")
    draws = "over seeds" if pair.studies is None else "over searches and seeds"
    sources = [f"{draws}{here}"] if examples else [f"at these settings{here}"] if pair.searches else []
    if pair.searches:
        low, high = pair.searches.low, pair.searches.high
        sources.append(f"over other searches{ends_of(metric, pair.difference, low, high)}")
    sources += [examples] if examples else []
    if not sources:
        return f"{here} ({counts})"
    overall = ends_of(metric, pair.difference, *(pair.overall or (None, None))) if examples else ""
    return f"{overall}: {', '.join(sources)} ({counts})"


def _undecided(metric: Metric, pair: PairComparison, examples: str) -> str:
    """Which other draw of the searches or of the examples could turn a difference round."""
    sources, causes = [], []
    if pair.searches:
        claim = chance(pair.adjusted if pair.claim is None else pair.claim)
        elsewhere = ends_of(metric, pair.difference, pair.searches.low, pair.searches.high)
        sources.append(f"over other searches{elsewhere} ({claim}, {pair.searches.trials} trials)")
        causes += [] if pair.over_searches else ["another search"]
    if pair.examples:
        sources.append(examples)
        causes += ["other examples"] if min(end * pair.difference for end in pair.examples) <= 0 else []
    if not causes:
        overall = ends_of(metric, pair.difference, *(pair.overall or (None, None)))
        together = chance(pair.adjusted if pair.verdict is None else pair.verdict)
        return f"{', '.join(sources)}, all together{overall} ({together}): it could turn round"
    return f"{', '.join(sources)}: {' or '.join(causes)} could turn it round"


def winner(metric: Metric, pair: PairComparison) -> str:
    """The one of the two that has the better value."""
    return pair.first if metric.better(pair.difference, 0.0) else pair.second


def pair_verdict(pair: PairComparison) -> str:
    """The same in two words, for a table."""
    if not pair.significant:
        return "no significant difference"
    if pair.decided:
        return "different"
    if pair.over_searches:
        return "only these examples"
    return "only these settings" if pair.studies is None else "only these searches"


def other_searches(metric: Metric, pair: PairComparison) -> str:
    """The interval of first − second over other searches, `[−0.10, +1.90]`; a dash where nothing is known."""
    if pair.searches is None:
        return "–"
    return signed(metric, pair.searches.low, pair.searches.high)


def over_examples(metric: Metric, pair: PairComparison) -> str:
    """The interval of first − second over other examples, `[−0.10, +1.90]`; a dash where nothing is known."""
    return signed(metric, *pair.examples) if pair.examples else "–"


def overall(metric: Metric, pair: PairComparison) -> str:
    """The interval of first − second over all that is left to chance; a dash where a part of it is not known."""
    return signed(metric, *pair.overall) if pair.overall and (pair.examples or not pair.searched) else "–"


def ends_of(metric: Metric, size: float, low: float | None, high: float | None) -> str:
    """An interval of a difference, as that of its size without the sign: ` [0.65, 0.88]`; nothing for none."""
    if low is None or high is None:
        return ""
    scale = (100.0 if metric.share else 1.0) * (1.0 if size > 0 else -1.0)
    # A metric of which less is better is better by the same amount.
    low, high = sorted((scale * low, scale * high))
    ends = (f"{end:.2f}" if metric.share else figure(end, 3) for end in (low, high))
    return f" [{', '.join(ends)}]"
