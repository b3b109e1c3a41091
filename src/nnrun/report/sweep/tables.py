"""The answer of a sweep for a terminal."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from nnrun.report.sweep.cautions import cautions, leans_on, missing
from nnrun.report.sweep.effects import mean_tables
from nnrun.report.sweep.findings import Answer, BaseAnswer
from nnrun.report.sweep.pairs import pair_cells
from nnrun.report.sweep.rows import Row
from nnrun.report.sweep.verdict import sentences, steps_text
from nnrun.report.words import level, span
from nnrun.statistics.comparison import Comparison
from nnrun.statistics.metric import Metric

__all__ = ["answer_tables", "comparison_table", "leaderboard", "seeds_text", "settings_text", "trials_text"]

_MOST_PAIRS = 15  # that a terminal shows


def answer_tables(answer: Answer, pairs: bool = False) -> list[RenderableType]:
    """The whole answer: a leaderboard for each base, what it says in words, the paired tests, warnings.

    pairs   whether to show the tests of all pairs also where there are many, or where factors answer instead
    """
    parts: list[RenderableType] = []
    for part in answer.bases:
        if len(answer.bases) > 1:
            parts.append(Text(part.base, "bold"))
        parts += [leaderboard(part, answer.sweep.judge), Text("")]
        for head, rows in mean_tables(part.metric, part.factors) if part.factors else ():
            parts += [_plain_table(head, rows), Text("")]
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


def _plain_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    """Names in the first column, numbers in the others."""
    table = Table(box=None, header_style="dim", pad_edge=False)
    for i, name in enumerate(head):
        table.add_column(Text(name), justify="right" if i else "left", no_wrap=not i)
    for row in rows:
        table.add_row(*map(Text, row))
    return table


def leaderboard(part: BaseAnswer, searched: Metric) -> Table:
    """One row for each alternative, best first.

    searched   the metric of the search
    """
    table = Table(box=None, header_style="dim", pad_edge=False)
    fresh = any(row.fresh for row in part.rows)
    reached = any(row.reached for row in part.rows)
    unit = "studies" if any(row.studies for row in part.rows) else "seeds"
    head = [str(part.metric if fresh else searched), "95% interval", unit]
    head += [f"{searched} on fresh seeds"] if fresh else []
    head += ["steps to target"] if reached else []
    table.add_column("alternative", no_wrap=True)
    for name in (*head, "trials"):
        table.add_column(name, justify="right")
    table.add_column("chosen")
    for row in part.rows:
        cells = [level(part.metric, row.mean) + ("" if row.fresh or not fresh else " (search)")]
        cells += [span(part.metric, row.low, row.high), seeds_text(row)]
        cells += [level(searched, row.validation_again)] if fresh else []
        cells += [steps_text(row)] if reached else []
        table.add_row(Text(row.alternative), *cells, trials_text(row), Text(settings_text(row.settings)))
    return table


def seeds_text(row: Row) -> str:
    """`10`, or `8 of 10` where some diverged; of an alternative whose search was repeated, its studies."""
    if row.studies:
        return str(len(row.values)) if not row.lost else f"{len(row.values)} of {len(row.studies)}"
    return str(row.seeds) if not row.diverged else f"{len(row.values)} of {row.seeds}"


def trials_text(row: Row) -> str:
    """How many trials have ended, and what became of those that were not good."""
    named = ((row.unstable, "diverged"), (row.stopped, "stopped"), (row.failed, "failed"))
    bad = ", ".join(f"{count} {what}" for count, what in named if count)
    return f"{row.trials}{f' ({bad})' if bad else ''}"


def settings_text(settings: Mapping[str, object]) -> str:
    """`learning_rate=0.0123 dropout=0.2`: the last part of each key, all of it where that is not unique."""
    short = [path.rpartition(".")[2] for path in settings]
    names = [last if short.count(last) == 1 else path for path, last in zip(settings, short, strict=True)]
    return "  ".join(f"{name}={_value(value)}" for name, value in zip(names, settings.values(), strict=True))


def _value(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.3g}"
    return value if isinstance(value, str) else json.dumps(value)


def comparison_table(metric: Metric, pairs: list[Comparison]) -> Table:
    """One row for each pair: the difference with its intervals, the corrected p-values, what it says."""
    searched = any(pair.searched for pair in pairs)
    known = any(pair.examples for pair in pairs)
    left_out = ("p", *(() if searched else ("other searches", "p (both)")))
    left_out += () if known else ("other examples", "all")
    table = Table(box=None, header_style="dim", pad_edge=False)
    for name in pair_cells(metric, pairs[0]):
        if name not in left_out:
            is_name = name in ("first", "second")
            table.add_column(
                "" if name == "verdict" else name,
                justify="left" if is_name or name == "verdict" else "right",
                no_wrap=is_name,
            )
    for pair in pairs:
        cells = {name: cell for name, cell in pair_cells(metric, pair).items() if name not in left_out}
        style = "bold" if pair.decided else "dim" if not pair.significant else ""
        table.add_row(*(Text(cell, style if name == "verdict" else "") for name, cell in cells.items()))
    return table
