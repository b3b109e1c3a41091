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
    "pair_sentence",
    "sentences",
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


def difference(metric: Metric, pair: Comparison, forward: bool = True) -> str:
    """A difference with its interval, `+1.20 [+0.80, +1.60]`; as that of the second if not `forward`."""
    sign, scale = (1.0 if forward else -1.0), (100.0 if metric.share else 1.0)
    form = "+.2f" if metric.share else "+.3g"
    middle = format(sign * scale * pair.difference, form)
    if pair.low is None or pair.high is None:
        return middle
    low, high = sorted((sign * scale * pair.low, sign * scale * pair.high))
    return f"{middle} [{low:{form}}, {high:{form}}]"


def pair_sentence(metric: Metric, pair: Comparison) -> str:
    """What a comparison says of two alternatives."""
    seeds = f"{pair.seeds} seeds"
    if not pair.significant:
        return f"{pair.first} and {pair.second} show no significant difference ({chance(pair.adjusted)}, {seeds})"
    ahead = metric.better(pair.difference, 0.0)
    winner, loser = (pair.first, pair.second) if ahead else (pair.second, pair.first)
    ends = ""
    if pair.low is not None and pair.high is not None:
        scale = 100.0 if metric.share else 1.0
        sign = 1.0 if pair.difference > 0 else -1.0
        low, high = sorted((sign * scale * pair.low, sign * scale * pair.high))
        form = ".2f" if metric.share else ".3g"
        ends = f" [{low:{form}}, {high:{form}}]"
    return (
        f"{winner} beats {loser} by {gap(metric, pair.difference)}{ends} ({chance(pair.adjusted)}, {seeds})"
    )


def sentences(answer: Answer) -> list[str]:
    """The answer, a sentence each, with the name of the base in front where there are several."""
    several = len(answer.bases) > 1
    return [
        f"{part.base}: {text}" if several else text for part in answer.bases for text in base_sentences(part)
    ]


def base_sentences(part: BaseAnswer) -> list[str]:
    """The best alternative of a base, and how sure that is against each of the others."""
    if not part.rows or part.rows[0].mean is None:
        return []
    best = part.rows[0]
    against = [pair for pair in part.comparisons if best.alternative in (pair.first, pair.second)]
    # What is not decided before what is.
    against.sort(key=lambda pair: (pair.significant, abs(pair.difference)))
    return [
        _headline(part, best),
        *(pair_sentence(part.metric, pair) for pair in against),
    ]


def _headline(part: BaseAnswer, best: Row) -> str:
    value = f"{level(part.metric, best.mean)} {span(part.metric, best.low, best.high)}".rstrip()
    seeds = f"{len(best.values)} seed{'' if len(best.values) == 1 else 's'}"
    if not best.fresh:
        return f"{best.alternative} leads the search with {part.metric} {value} ({seeds}, not yet tried on fresh ones)"
    if len(part.rows) == 1:
        return f"the chosen setting has {part.metric} {value} ({seeds})"
    beaten = [p for p in part.comparisons if best.alternative in (p.first, p.second) and p.significant]
    mean = "is the best" if len(beaten) == len(part.rows) - 1 else "has the best mean"
    return f"{best.alternative} {mean}: {part.metric} {value} ({seeds})"


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
