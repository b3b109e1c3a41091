"""The report of a sweep: one HTML file that holds its pictures and opens without a network."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from html import escape
from typing import NamedTuple

from nnrun.report.sweep.cautions import cautions, missing
from nnrun.report.sweep.findings import Answer, BaseAnswer, Row
from nnrun.report.sweep.folder import AlternativeRecord, DimensionRecord, TrialRecord, ranked
from nnrun.report.sweep.plots import Picture
from nnrun.report.sweep.style import STYLE
from nnrun.report.sweep.tables import seeds_text, settings_text, trials_text
from nnrun.report.sweep.verdict import base_sentences, chance, difference, level, span, steps_text

__all__ = ["page"]

_METHOD = """
<ul>
<li>Each alternative had the same number of trials. Its setting was chosen by the mean of <code>{searched}</code> over
{seeds} of each trial, at each one's best step; the test part was not looked at.</li>
<li>The chosen settings were trained again on fresh seeds that no trial had, and those runs are compared{on}.</li>
<li>Intervals are 95% intervals of the mean by the studentized bootstrap. Student's t interval is used below five
seeds.</li>
<li>Tests are paired permutation tests: runs of one seed share the split of the data, and under chance alone each
difference is as likely with the other sign. p-values are corrected by Holm's method over all pairs{of_base}, so the
chance of any false &ldquo;different&rdquo; is at most 5%. The interval of a difference is for that pair alone, before
the correction. &ldquo;No significant difference&rdquo; does not mean
equal: it means that so many seeds cannot tell.</li>
<li>Steps and seconds to a target are medians over the fresh seeds; the seconds are those of the program in which
these trained together.</li>
<li>The intervals are over seeds. Another split of the data, or other data, may give another order.</li>
</ul>
"""


class _Column(NamedTuple):
    """A column of a table; `kind`: the class of its cells."""

    name: str
    kind: str = ""


def page(answer: Answer, images: Sequence[Picture]) -> str:
    """The content of report.html."""
    sweep = answer.sweep
    title = escape(f"nnrun sweep: {sweep.name}")
    body = [
        f"<h1>{escape(sweep.name)}</h1>",
        f'<p class="dim">{escape(_facts(answer))}</p>',
        _lack(missing(answer)),
        _words(answer),
        _notes(cautions(answer)),
        *(_leaderboard(answer, part) for part in answer.bases),
        '<h2>Pictures</h2><div class="pictures">' + "".join(map(_figure, images)) + "</div>"
        if images
        else "",
        *(_pairs(answer, part) for part in answer.bases if part.comparisons),
        _spaces(sweep.alternatives),
        _trials(answer),
        "<h2>How this was computed</h2>" + _method(answer),
    ]
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{STYLE}</style></head><body>\n" + "\n".join(filter(None, body)) + "\n</body></html>\n"
    )


def _facts(answer: Answer) -> str:
    sweep = answer.sweep
    alternatives = len(sweep.alternatives)
    runs = sum(len(record.values) for record in sweep.trials) + sum(
        len(record.seeds) for record in sweep.finals
    )
    bases = f" on {len(sweep.bases)} bases" if len(sweep.bases) > 1 else ""
    return (
        f"{alternatives} alternative{_s(alternatives)}{bases}, {sweep.trials_planned} trials each by {sweep.search} "
        f"search, {_count(sweep.seeds, 'seed')} a trial, judged by {sweep.metric} "
        f"({'more' if sweep.rising else 'less'} is better); {runs} runs"
    )


def _words(answer: Answer) -> str:
    parts = []
    for part in answer.bases:
        lines = base_sentences(part, answer.sweep.rising)
        if lines:
            name = f"<h3>{escape(part.base)}</h3>" if len(answer.bases) > 1 else ""
            rest = "".join(f"<li>{_sentence(line)}</li>" for line in lines[1:])
            parts.append(
                f'{name}<p class="lead">{_sentence(lines[0])}</p>' + (f"<ul>{rest}</ul>" if rest else "")
            )
    return "<h2>The answer</h2>" + "".join(parts) if parts else ""


def _notes(lines: Sequence[str]) -> str:
    items = "".join(f"<li>{_sentence(line)}</li>" for line in lines)
    return f'<div class="note"><strong>Careful</strong><ul>{items}</ul></div>' if lines else ""


def _lack(lines: Sequence[str]) -> str:
    items = "".join(f"<li>{_sentence(line)}</li>" for line in lines)
    return (
        f'<div class="note lack"><strong>Not all is there yet</strong><ul>{items}</ul></div>' if lines else ""
    )


def _sentence(text: str) -> str:
    return escape(text if text.endswith(".") else f"{text}.")


def _leaderboard(answer: Answer, part: BaseAnswer) -> str:
    searched, fresh = answer.sweep.metric, any(row.fresh for row in part.rows)
    timed, number = fresh and part.target is not None, "number"
    columns = [_Column("alternative"), _Column(part.metric, number), _Column("95% interval", number)]
    columns += [_Column("seeds", number), _Column(f"{searched} in the search", number)]
    columns += [_Column(_target(part, searched), number), _Column("seconds", number)] if timed else []
    columns += [_Column("trials", number), _Column("chosen setting", "text")]
    rows = []
    for row in part.rows:
        mark = "" if row.fresh or not fresh else " (search)"
        cells = [row.alternative, level(part.metric, row.mean) + mark, span(part.metric, row.low, row.high)]
        cells += [seeds_text(row), level(searched, row.validation)]
        cells += [steps_text(row), _seconds(row)] if timed else []
        rows.append([*cells, trials_text(row), settings_text(row.settings)])
    return f"<h2>Leaderboard{_on(answer, part)}</h2>" + _table(columns, rows, best=True)


def _seconds(row: Row) -> str:
    """Of the program in which the seeds trained together."""
    seconds = row.reached.seconds if row.reached else None
    return f"{seconds:.3g}" if seconds is not None and seconds < float("inf") else "–"


def _target(part: BaseAnswer, searched: str) -> str:
    return f"steps to {searched} {level(searched, part.target)}"


def _pairs(answer: Answer, part: BaseAnswer) -> str:
    columns = [
        _Column("first"),
        _Column("second"),
        _Column("first − second", "number"),
        _Column("seeds", "number"),
    ]
    columns += [_Column("p", "number"), _Column("p (Holm)", "number"), _Column("verdict")]
    rows = [
        [
            pair.first,
            pair.second,
            difference(part.metric, pair),
            str(pair.seeds),
            _p(pair.p),
            _p(pair.adjusted),
            "different" if pair.significant else "no significant difference",
        ]
        for pair in part.comparisons
    ]
    return f"<h2>All pairs{_on(answer, part)}, by {escape(part.metric)}</h2>" + _table(columns, rows)


def _p(value: float) -> str:
    return chance(value).removeprefix("p ").removeprefix("= ")


def _on(answer: Answer, part: BaseAnswer) -> str:
    return f" on {escape(part.base)}" if len(answer.bases) > 1 else ""


def _spaces(alternatives: Iterable[AlternativeRecord]) -> str:
    columns = [_Column("alternative"), _Column("key"), _Column("searched in")]
    rows = [
        [alternative.label, d.path, _range(d)] for alternative in alternatives for d in alternative.dimensions
    ]
    return "<h2>What varied</h2>" + _table(columns, rows) if rows else ""


def _range(dimension: DimensionRecord) -> str:
    if dimension.kind == "choice":
        return "one of " + ", ".join(map(str, dimension.values))
    low, high = dimension.low or 0.0, dimension.high or 0.0
    if dimension.kind == "normal":
        return f"normal, {low:g} ± {high:g}"
    kinds = {"log": ", logarithmic", "int": ", whole", "log_int": ", whole, logarithmic"}
    return f"{low:g} to {high:g}{kinds.get(dimension.kind, '')}"


def _trials(answer: Answer) -> str:
    sweep = answer.sweep
    columns = [
        _Column("trial"),
        _Column(sweep.metric, "number"),
        _Column("status"),
        _Column("steps", "number"),
    ]
    columns += [_Column("settings", "text")]
    rows = [
        [
            trial.trial,
            level(sweep.metric, trial.value),
            _status(trial),
            str(trial.steps),
            settings_text(trial.settings),
        ]
        for trial in ranked(sweep.trials, sweep.rising)
    ]
    if not rows:
        return ""
    return f"<h2>Trials</h2><details><summary>all {len(rows)}, best first</summary>{_table(columns, rows)}</details>"


def _status(trial: TrialRecord) -> str:
    return trial.status + (f": {trial.reason}" if trial.reason and trial.status == "failed" else "")


def _method(answer: Answer) -> str:
    metrics = {part.metric for part in answer.bases if any(row.fresh for row in part.rows)}
    on = f" on <code>{escape(metrics.pop())}</code>" if len(metrics) == 1 else ""
    seeds = f"the {_count(answer.sweep.seeds, 'seed')}"
    of_base = " of a base" if len(answer.bases) > 1 else ""
    return _METHOD.format(searched=escape(answer.sweep.metric), seeds=seeds, on=on, of_base=of_base)


def _table(columns: Sequence[_Column], rows: Iterable[Sequence[str]], best: bool = False) -> str:
    head = "".join(f'<th class="{column.kind}">{escape(column.name)}</th>' for column in columns)
    lines = []
    for i, row in enumerate(rows):
        cells = (
            f'<td class="{column.kind}">{escape(text)}</td>'
            for column, text in zip(columns, row, strict=True)
        )
        lines.append(f"<tr{' class=best' if best and i == 0 else ''}>{''.join(cells)}</tr>")
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{"".join(lines)}</tbody></table></div>'


def _figure(image: Picture) -> str:
    data = base64.b64encode(image.png).decode()
    title, caption = escape(image.title), escape(image.caption)
    return (
        f'<figure><h3>{title}</h3><img alt="{title}. {caption}" src="data:image/png;base64,{data}">'
        + (f"<figcaption>{caption}</figcaption>" if caption else "")
        + "</figure>"
    )


def _count(n: int, what: str) -> str:
    return f"{n} {what}{_s(n)}"


def _s(n: int) -> str:
    return "" if n == 1 else "s"
