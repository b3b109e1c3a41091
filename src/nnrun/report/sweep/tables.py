"""The answer of a sweep for a terminal."""

from __future__ import annotations

from rich.console import RenderableType
from rich.text import Text

from nnrun.report.settings import settings_text
from nnrun.report.sheet import Sheet, sheet_of
from nnrun.report.sweep.cautions import cautions, leans_on, missing
from nnrun.report.sweep.effects import mean_tables
from nnrun.report.sweep.findings import Answer, BaseAnswer
from nnrun.report.sweep.pairs import pair_cells
from nnrun.report.sweep.ranking import on_fresh_seeds
from nnrun.report.sweep.rows import AnswerRow
from nnrun.report.sweep.verdict import sentences, steps_text
from nnrun.report.values import level, span
from nnrun.statistics.comparison import PairComparison
from nnrun.statistics.metric import Metric

__all__ = ["CHOSEN_DIGITS", "answer_tables", "comparison_table", "leaderboard", "seeds_text", "trials_text"]

CHOSEN_DIGITS = 3  # of a setting that a search has drawn
_MOST_PAIRS = 15  # that a terminal shows


def answer_tables(answer: Answer, pairs: bool = False) -> list[RenderableType]:
    """The whole answer: a leaderboard for each base, what it says in words, the paired tests, warnings.

    pairs   whether to show the tests of all pairs also where there are many, or where factors answer instead
    """
    parts: list[RenderableType] = []
    for part in answer.bases:
        if len(answer.bases) > 1:
            parts.append(Text(part.base, "bold"))
        parts.append(leaderboard(part, answer.sweep.judge))
        parts += [Text(_ranking(part, answer.sweep.judge), "dim")] if len(part.rows) > 1 else []
        parts.append(Text(""))
        for head, rows in mean_tables(part.metric, part.factors) if part.factors else ():
            parts += [sheet_of(head, rows), Text("")]
    parts += [Text(text) for text in sentences(answer)]
    for part in answer.bases:
        few = len(part.comparisons) <= _MOST_PAIRS and not part.factors
        if len(part.comparisons) > 1 and (pairs or few):
            title = f"all pairs on {part.base}" if len(answer.bases) > 1 else "all pairs"
            parts += [Text(""), Text(f"{title}: {part.metric}, first − second", "dim")]
            parts.append(comparison_table(part.metric, part.comparisons))
    notes = [("warning", "yellow", text) for text in cautions(answer)]
    notes += [("sensitive", "yellow", text) for text in leans_on(answer)]
    notes += [("missing", "cyan", text) for text in missing(answer)]
    if notes:
        parts.append(Text(""))
    parts += [Text.assemble((f"{kind}: ", colour), text) for kind, colour, text in notes]
    return parts


def _ranking(part: BaseAnswer, searched: Metric) -> str:
    """By what the alternatives are ordered, which is no value of the test part."""
    return f"ranked by {searched} {'on fresh seeds' if on_fresh_seeds(part.rows) else 'in the search'}"


def leaderboard(part: BaseAnswer, searched: Metric) -> Sheet:
    """One row for each alternative, best first.

    searched   the metric of the search
    """
    fresh = any(row.fresh for row in part.rows)
    reached = any(row.reached for row in part.rows)
    unit = "studies" if any(row.studies for row in part.rows) else "seeds"
    head = ["alternative", str(part.metric if fresh else searched), "95% interval", unit]
    head += [f"{searched} on fresh seeds"] if fresh else []
    head += [f"steps to {searched} {level(searched, part.target)}"] if reached else []
    rows = []
    for row in part.rows:
        cells = [
            row.alternative,
            level(part.metric, row.mean) + ("" if row.fresh or not fresh else " (search)"),
        ]
        cells += [span(part.metric, row.low, row.high), seeds_text(row)]
        cells += [level(searched, row.validation_again)] if fresh else []
        cells += [steps_text(row)] if reached else []
        rows.append([*cells, trials_text(row), settings_text(row.settings, CHOSEN_DIGITS)])
    kinds = ["name", *["number"] * len(head), "words"]
    return sheet_of([*head, "trials", "chosen"], rows, kinds)


def seeds_text(row: AnswerRow) -> str:
    """`10`, or `8 of 10` where some diverged; of an alternative whose search was repeated, its studies."""
    if row.studies:
        return str(len(row.values)) if not row.lost else f"{len(row.values)} of {len(row.studies)}"
    return str(row.seeds) if not row.diverged else f"{len(row.values)} of {row.seeds}"


def trials_text(row: AnswerRow) -> str:
    """How many trials have ended, and what became of those that were not good."""
    named = ((row.unstable, "diverged"), (row.stopped, "stopped"), (row.failed, "failed"))
    bad = ", ".join(f"{count} {what}" for count, what in named if count)
    return f"{row.trials}{f' ({bad})' if bad else ''}"


def comparison_table(metric: Metric, pairs: list[PairComparison]) -> Sheet:
    """One row for each pair: the difference with its intervals, the corrected p-values, what it says."""
    searched = any(pair.searched for pair in pairs)
    known = any(pair.examples for pair in pairs)
    left_out = ("p", *(() if searched else ("other searches", "p (both)")))
    left_out += () if known else ("other examples", "all")
    head = [name for name in pair_cells(metric, pairs[0]) if name not in left_out]
    rows = []
    for pair in pairs:
        cells = pair_cells(metric, pair)
        style = "bold" if pair.decided else "dim" if not pair.significant else ""
        rows.append([Text(cells[name], style if name == "verdict" else "") for name in head])
    kinds = [{"first": "name", "second": "name", "verdict": "words"}.get(name, "number") for name in head]
    return sheet_of(["" if name == "verdict" else name for name in head], rows, kinds, keys=2)
