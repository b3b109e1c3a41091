"""The answer of a sweep, or a comparison of runs, in plain words."""

from __future__ import annotations

from nnrun.report.sweep.findings import Answer, BaseAnswer, Row
from nnrun.statistics.compare import Comparison
from nnrun.statistics.metric import Metric

__all__ = [
    "base_sentences",
    "chance",
    "difference",
    "gap",
    "level",
    "other_searches",
    "pair_sentence",
    "pair_verdict",
    "sentences",
    "short_chance",
    "span",
    "steps_text",
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
    return f"{middle} {_signed(metric, sign * pair.low, sign * pair.high)}"


def _signed(metric: Metric, low: float, high: float) -> str:
    """An interval of a difference, in either order, with signs: `[-0.10, +1.90]`."""
    scale, form = (100.0, "+.2f") if metric.share else (1.0, "+.3g")
    low, high = sorted((scale * low, scale * high))
    return f"[{low:{form}}, {high:{form}}]"


def pair_sentence(metric: Metric, pair: Comparison) -> str:
    """What a comparison says of two alternatives: "A beats B" only if it holds for other searches too."""
    seeds = f"{pair.seeds} seeds"
    if not pair.significant:
        return f"{pair.first} and {pair.second} show no significant difference ({chance(pair.adjusted)}, {seeds})"
    winner = _winner(metric, pair)
    loser = pair.second if winner == pair.first else pair.first
    size = gap(metric, pair.difference)
    here = _ends(metric, pair, pair.low, pair.high)
    if not pair.searched:
        return f"{winner} beats {loser} by {size}{here} ({chance(pair.adjusted)}, {seeds})"
    settings = f"{winner}'s chosen setting beats {loser}'s by {size}{here} ({chance(pair.adjusted)}, {seeds})"
    if pair.searches is None:
        return f"{settings}; {pair.unknown}, so this says nothing about other searches"
    elsewhere = _ends(metric, pair, pair.searches.low, pair.searches.high)
    trials = f"{pair.searches.trials} trials"
    claim = chance(pair.adjusted if pair.claim is None else pair.claim)
    if pair.decided:
        ends = f"at these settings{here}, over other searches{elsewhere}"
        return f"{winner} beats {loser} by {size}: {ends} ({claim}, {seeds}, {trials})"
    return (
        f"{settings}; over other searches{elsewhere} ({claim}, {trials}): another search could turn it round"
    )


def _winner(metric: Metric, pair: Comparison) -> str:
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
    return _signed(metric, pair.searches.low, pair.searches.high)


def _ends(metric: Metric, pair: Comparison, low: float | None, high: float | None) -> str:
    """An interval of the difference, as that of the winner: ` [0.65, 0.88]`; nothing for none."""
    if low is None or high is None:
        return ""
    scale = (100.0 if metric.share else 1.0) * (1.0 if pair.difference > 0 else -1.0)
    # A metric of which less is better is better by the same amount.
    low, high = sorted((scale * low, scale * high))
    form = ".2f" if metric.share else ".3g"
    return f" [{low:{form}}, {high:{form}}]"


def sentences(answer: Answer) -> list[str]:
    """The answer, a sentence each, with the name of the base in front where there are several."""
    several = len(answer.bases) > 1
    return [
        f"{part.base}: {text}" if several else text
        for part in answer.bases
        for text in base_sentences(part, answer.sweep.judge)
    ]


def base_sentences(part: BaseAnswer, judge: Metric) -> list[str]:
    """The best alternative of a base, and how sure that is against each of the others.

    judge   the metric of the search
    """
    if not part.rows or part.rows[0].mean is None:
        return []
    best = part.rows[0]
    against = [pair for pair in part.comparisons if best.alternative in (pair.first, pair.second)]
    # What is not decided before what is.
    against.sort(key=lambda pair: (pair.decided, pair.significant, abs(pair.difference)))
    return [
        _headline(part, best, judge),
        *(pair_sentence(part.metric, pair) for pair in against),
    ]


def _headline(part: BaseAnswer, best: Row, judge: Metric) -> str:
    value = f"{level(part.metric, best.mean)} {span(part.metric, best.low, best.high)}".rstrip()
    seeds = f"{len(best.values)} seed{'' if len(best.values) == 1 else 's'}"
    if not best.fresh:
        return (
            f"{best.alternative} leads the search with {judge} {value} ({seeds}, not yet tried on fresh ones)"
        )
    if len(part.rows) == 1:
        return f"the chosen setting has {part.metric} {value} ({seeds})"
    beaten = [
        pair for pair in part.comparisons if pair.decided and _winner(part.metric, pair) == best.alternative
    ]
    if len(beaten) == len(part.rows) - 1:
        return f"{best.alternative} is the best: {part.metric} {value} ({seeds})"
    if part.metric == judge:
        return f"{best.alternative} is ahead: {part.metric} {value} ({seeds})"
    return f"{best.alternative} is ahead on validation data; its {part.metric} is {value} ({seeds})"


def steps_text(row: Row) -> str:
    """When the runs reached the target: steps, or how many did."""
    reached = row.reached
    if reached is None:
        return "–"
    if reached.seeds * 2 <= reached.of:
        return f"{reached.seeds} of {reached.of} seeds"
    return f"{reached.steps:,.0f}" + (
        f" ({reached.seeds} of {reached.of} seeds)" if reached.seeds < reached.of else ""
    )
