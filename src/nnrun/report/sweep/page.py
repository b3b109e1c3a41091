"""The report of a sweep: one HTML file that holds its pictures and opens without a network."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from types import MappingProxyType

from nnrun import amounts
from nnrun.amounts import with_digits
from nnrun.errors import counted
from nnrun.report.chart import Chart
from nnrun.report.drawing import Picture
from nnrun.report.html import PageColumn, document, figure, table
from nnrun.report.interactive import chart_html, head
from nnrun.report.run.examples import STYLE, examples_html
from nnrun.report.run.looked import Looked
from nnrun.report.settings import settings_text
from nnrun.report.sweep.cautions import cautions, leans_on, missing
from nnrun.report.sweep.effects import effect_cells, mean_tables
from nnrun.report.sweep.evidence import ranked
from nnrun.report.sweep.findings import Answer, BaseAnswer
from nnrun.report.sweep.folder import AlternativeRecord, DimensionRecord, TrialRecord
from nnrun.report.sweep.method import method
from nnrun.report.sweep.pairs import pair_cells
from nnrun.report.sweep.parallel import parallel_head, parallel_section
from nnrun.report.sweep.plots import charts_of
from nnrun.report.sweep.rows import AnswerRow
from nnrun.report.sweep.tables import CHOSEN_DIGITS, seeds_text, trials_text
from nnrun.report.sweep.verdict import base_sentences, steps_text
from nnrun.report.values import level, span
from nnrun.statistics.metric import Metric

__all__ = ["page"]


def page(
    answer: Answer, images: Sequence[Picture], looked: Mapping[str, Looked] = MappingProxyType({})
) -> str:
    """The content of report.html.

    looked   by name of a run of the best setting, what was looked at in the data
    """
    sweep, drawn, curves = answer.sweep, parallel_section(answer), charts_of(answer)
    body = [
        f"<h1>{escape(sweep.name)}</h1>",
        f'<p class="dim">{escape(_facts(answer))}</p>',
        _lack(missing(answer)),
        _words(answer),
        _notes("Careful", cautions(answer)),
        _notes("What would change this", leans_on(answer)),
        *(_leaderboard(answer, part) for part in answer.bases),
        *(_studies(answer, part) for part in answer.bases if answer.sweep.studies > 1),
        *(_factors(answer, part) for part in answer.bases),
        _pictures({chart.name: chart for chart in curves}, images),
        drawn,
        *(examples_html(entry, f"the best setting ({name})") for name, entry in looked.items()),
        *(_pairs(answer, part) for part in answer.bases if part.comparisons),
        _spaces(sweep.alternatives),
        _trials(answer),
        "<h2>How this was computed</h2>" + method(answer),
    ]
    in_head = (parallel_head() if drawn else "") + (head() if looked or curves else "")
    return document(f"nnrun sweep: {sweep.name}", body, in_head, STYLE if looked else "")


def _pictures(curves: Mapping[str, Chart], images: Sequence[Picture]) -> str:
    """The pictures; those that are curves answer to the pointer."""
    shown = "".join(
        chart_html(curves[image.name], image.png) if image.name in curves else figure(image)
        for image in images
    )
    return f'<h2>Pictures</h2><div class="pictures">{shown}</div>' if images else ""


def _facts(answer: Answer) -> str:
    sweep = answer.sweep
    alternatives = len(sweep.alternatives)
    runs = sum(len(record.values) for record in sweep.trials) + sum(
        len(record.seeds) for record in sweep.finals
    )
    bases = f" on {len(sweep.bases)} bases" if len(sweep.bases) > 1 else ""
    studies = f"repeated in {sweep.studies} studies, " if sweep.studies > 1 else ""
    of_each = " each" if len(sweep.alternatives) > 1 else ""
    trials = f"{counted(sweep.trials_planned, 'trial')}{of_each} by {sweep.search} search"
    return (
        f"{counted(alternatives, 'alternative')}{bases}, {trials}, {studies}{counted(sweep.seeds, 'seed')} a trial, "
        f"judged by {sweep.metric} ({sweep.judge.words} is better); {counted(runs, 'run')}"
    )


def _words(answer: Answer) -> str:
    parts = []
    for part in answer.bases:
        lines = base_sentences(part, answer.sweep.judge)
        if lines:
            name = f"<h3>{escape(part.base)}</h3>" if len(answer.bases) > 1 else ""
            rest = "".join(f"<li>{_sentence(line)}</li>" for line in lines[1:])
            parts.append(
                f'{name}<p class="lead">{_sentence(lines[0])}</p>' + (f"<ul>{rest}</ul>" if rest else "")
            )
    return "<h2>The answer</h2>" + "".join(parts) if parts else ""


def _notes(title: str, lines: Sequence[str]) -> str:
    items = "".join(f"<li>{_sentence(line)}</li>" for line in lines)
    return f'<div class="note"><strong>{title}</strong><ul>{items}</ul></div>' if lines else ""


def _lack(lines: Sequence[str]) -> str:
    items = "".join(f"<li>{_sentence(line)}</li>" for line in lines)
    return (
        f'<div class="note lack"><strong>Not all is there yet</strong><ul>{items}</ul></div>' if lines else ""
    )


def _sentence(text: str) -> str:
    return escape(text if text.endswith(".") else f"{text}.")


def _leaderboard(answer: Answer, part: BaseAnswer) -> str:
    searched, fresh = answer.sweep.judge, any(row.fresh for row in part.rows)
    timed, number = fresh and part.target is not None, "number"
    columns = [
        PageColumn("alternative"),
        PageColumn(part.metric.name, number),
        PageColumn("95% interval", number),
    ]
    unit = "studies" if answer.sweep.studies > 1 else "seeds"
    columns += [PageColumn("middle half", number), PageColumn(unit, number)]
    columns += [PageColumn(f"{searched} in the search", number)]
    columns += [PageColumn("on fresh seeds", number)] if fresh else []
    columns += [PageColumn(_target(part, searched), number), PageColumn("seconds", number)] if timed else []
    columns += [PageColumn("trials", number), PageColumn("chosen setting", "text")]
    rows = []
    for row in part.rows:
        mark = "" if row.fresh or not fresh else " (search)"
        cells = [row.alternative, level(part.metric, row.mean) + mark, span(part.metric, row.low, row.high)]
        cells += [level(part.metric, row.middle), seeds_text(row), level(searched, row.validation)]
        cells += [level(searched, row.validation_again)] if fresh else []
        cells += [steps_text(row), _seconds(row)] if timed else []
        rows.append([*cells, trials_text(row), settings_text(row.settings, CHOSEN_DIGITS)])
    return f"<h2>Leaderboard{_on(answer, part)}</h2>" + table(columns, rows, best=0)


def _studies(answer: Answer, part: BaseAnswer) -> str:
    """What each search of each alternative chose."""
    searched = answer.sweep.judge
    columns = [
        PageColumn("alternative"),
        PageColumn("study", "number"),
        PageColumn(part.metric.name, "number"),
    ]
    columns += [PageColumn(f"{searched} on fresh seeds", "number"), PageColumn("seeds", "number")]
    columns += [PageColumn("chosen setting", "text")]
    rows = [
        [
            row.alternative, str(number), level(part.metric, study.mean if study.fresh else None),
            level(searched, study.validation_again), seeds_text(study), settings_text(study.settings, CHOSEN_DIGITS),
        ]
        for row in part.rows
        for number, study in enumerate(row.studies, start=1)
    ]  # fmt: skip
    return f"<h2>Studies{_on(answer, part)}</h2>" + table(columns, rows)


def _seconds(row: AnswerRow) -> str:
    """Seconds to the target, of the program in which the seeds trained together; a dash where they are not known."""
    seconds = row.reached.seconds if row.reached else None
    return with_digits(seconds) if seconds is not None and seconds < float("inf") else "–"


def _target(part: BaseAnswer, searched: Metric) -> str:
    return f"steps to {searched} {level(searched, part.target)}"


def _factors(answer: Answer, part: BaseAnswer) -> str:
    """What each factor does, and what two do together."""
    if not part.factors:
        return ""
    tables = [
        table([PageColumn(name, "number" if i else "") for i, name in enumerate(head)], rows)
        for head, rows in mean_tables(part.metric, part.factors)
    ]
    tables.append(_cells_table(effect_cells(part.metric, part.factors)))
    return f"<h2>Factors{_on(answer, part)}, by {escape(part.metric.name)}</h2>" + "".join(tables)


def _pairs(answer: Answer, part: BaseAnswer) -> str:
    content = _cells_table([pair_cells(part.metric, pair) for pair in part.comparisons])
    return f"<h2>All pairs{_on(answer, part)}, by {escape(part.metric.name)}</h2>" + content


def _cells_table(rows: Sequence[Mapping[str, str]]) -> str:
    """A table of rows that say what stands under each head."""
    names = ("factor", "first", "second", "verdict")
    columns = [PageColumn(name, "" if name in names else "number") for name in rows[0]]
    return table(columns, [[*row.values()] for row in rows])


def _on(answer: Answer, part: BaseAnswer) -> str:
    return f" on {escape(part.base)}" if len(answer.bases) > 1 else ""


def _spaces(alternatives: Iterable[AlternativeRecord]) -> str:
    columns = [PageColumn("alternative"), PageColumn("key"), PageColumn("searched in")]
    rows = [
        [alternative.label, d.path, _range(d)] for alternative in alternatives for d in alternative.dimensions
    ]
    return "<h2>What varied</h2>" + table(columns, rows) if rows else ""


def _range(dimension: DimensionRecord) -> str:
    if dimension.kind == "choice":
        return "one of " + ", ".join(map(str, dimension.values))
    low, high = dimension.low or 0.0, dimension.high or 0.0
    if dimension.kind == "normal":
        return f"normal, {amounts.figure(low, 6)} ± {amounts.figure(high, 6)}"
    kinds = {"log": ", logarithmic", "int": ", whole", "log_int": ", whole, logarithmic"}
    return f"{amounts.figure(low, 6)} to {amounts.figure(high, 6)}{kinds.get(dimension.kind, '')}"


def _trials(answer: Answer) -> str:
    sweep = answer.sweep
    columns = [
        PageColumn("trial"),
        PageColumn(sweep.metric, "number"),
        PageColumn("status"),
        PageColumn("steps", "number"),
    ]
    columns += [PageColumn("settings", "text")]
    rows = [
        [
            trial.trial,
            level(sweep.judge, trial.value),
            _status(trial),
            str(trial.steps),
            settings_text(trial.settings, CHOSEN_DIGITS),
        ]
        for trial in ranked(sweep.trials, sweep.judge)
    ]
    if not rows:
        return ""
    return f"<h2>Trials</h2><details><summary>all {len(rows)}, best first</summary>{table(columns, rows)}</details>"


def _status(trial: TrialRecord) -> str:
    if trial.reason and trial.status == "done":  # its seeds, or some of them, did not need all their steps
        return "done (stopped early)"
    return trial.status + (f": {trial.reason}" if trial.reason and trial.status == "failed" else "")
