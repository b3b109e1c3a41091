"""The answer of a sweep in plain words."""

from __future__ import annotations

from nnrun.report.sweep.effects import effect_sentences
from nnrun.report.sweep.findings import Answer, BaseAnswer
from nnrun.report.sweep.rows import AnswerRow
from nnrun.report.values import level, span
from nnrun.report.words import pair_sentence, winner
from nnrun.statistics.metric import Metric

__all__ = ["base_sentences", "sentences", "steps_text"]


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
    if part.factors:
        return [_headline(part, best, judge), *effect_sentences(part.metric, part.factors)]
    against = [pair for pair in part.comparisons if best.alternative in (pair.first, pair.second)]
    # What is not decided before what is.
    against.sort(key=lambda pair: (pair.decided, pair.significant, abs(pair.difference)))
    return [
        _headline(part, best, judge),
        *(pair_sentence(part.metric, pair) for pair in against),
    ]


def _headline(part: BaseAnswer, best: AnswerRow, judge: Metric) -> str:
    value = f"{level(part.metric, best.mean)} {span(part.metric, best.low, best.high)}".rstrip()
    unit = ("study", "studies") if best.studies else ("seed", "seeds")
    seeds = f"{len(best.values)} {unit[len(best.values) != 1]}"
    if not best.fresh:
        fresh = "fresh seeds" if best.studies else "fresh ones"
        return f"{best.alternative} leads the search with {judge} {value} ({seeds}, not yet tried on {fresh})"
    if len(part.rows) == 1:
        alone = len(best.values) == 1 and not best.studies
        unsure = ", which has no interval: sweep.final_seeds=5 gives it one" if alone else ""
        return f"the chosen setting has {part.metric} {value} ({seeds}{unsure})"
    beaten = [
        pair for pair in part.comparisons if pair.decided and winner(part.metric, pair) == best.alternative
    ]
    if len(beaten) == len(part.rows) - 1:
        return f"{best.alternative} is the best: {part.metric} {value} ({seeds})"
    if part.metric == judge:
        return f"{best.alternative} is ahead: {part.metric} {value} ({seeds})"
    return f"{best.alternative} is ahead on validation data; its {part.metric} is {value} ({seeds})"


def steps_text(row: AnswerRow) -> str:
    """When the runs reached the target: steps, or how many did."""
    reached = row.reached
    if reached is None:
        return "–"
    if reached.seeds * 2 <= reached.of:
        return f"{reached.seeds} of {reached.of} seeds"
    return f"{reached.steps:,.0f}" + (
        f" ({reached.seeds} of {reached.of} seeds)" if reached.seeds < reached.of else ""
    )
