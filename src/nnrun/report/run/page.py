"""The report of runs: one HTML file that opens without a network, on a phone and on a desktop, by day and by night."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from nnrun.record import columns
from nnrun.record.names import RESOLVED
from nnrun.report.html import document, sheet_table
from nnrun.report.interactive import charts_html, head
from nnrun.report.metric_table import metric_tables
from nnrun.report.provenance import page_lines
from nnrun.report.run.charts import charts_of
from nnrun.report.run.examples import STYLE, examples_html
from nnrun.report.run.looked import Looked
from nnrun.report.run.remarks import remarks
from nnrun.report.run.subject import Subject
from nnrun.report.sheet import Sheet
from nnrun.report.side_by_side import SideBySide
from nnrun.report.side_by_side_text import as_sheet
from nnrun.report.summary import headline, runs_line, shown_section, warnings
from nnrun.report.values import mean_with_gaps, with_gaps
from nnrun.storage import fsio

__all__ = ["page"]


def page(
    subjects: Sequence[Subject],
    looked: Mapping[str, Looked],
    comparison: SideBySide | None = None,
    reload_after: int = 0,
) -> str:
    """The content of the file.

    looked        by label, what was looked at in the data
    comparison    of several subjects
    reload_after  seconds until a browser reads the file again; 0: never
    """
    several = len(subjects) > 1
    names, charts = ", ".join(subject.label for subject in subjects), charts_of(subjects)
    refresh = f'<meta http-equiv="refresh" content="{reload_after}">' if reload_after else ""
    body = [
        f"<h1>{escape(names)}</h1>",
        _answer(subjects, comparison),
        *(_remarks(subject, several) for subject in subjects),
        "<h2>Results</h2>",
        sheet_table(as_sheet(comparison)) if comparison else _results(subjects[0]),
        "<h2>Curves</h2>" if charts else "",
        charts_html(charts),
        *(examples_html(entry, label if several else "") for label, entry in looked.items()),
        *(_of_the_run(subject, several) for subject in subjects),
    ]
    return document(f"nnrun: {names}", body, refresh + head(), STYLE)


def _answer(subjects: Sequence[Subject], comparison: SideBySide | None) -> str:
    """The best metric with its interval and the constant prediction; of several, what the tests say of them."""
    lines = list(comparison.sentences) if comparison else []
    facts = [f"{subject.label}: {_headline(subject)}" for subject in subjects]
    if not lines:
        lines, facts = [_headline(subjects[0])], facts[1:]
    items = "".join(f"<li>{escape(line)}</li>" for line in [*lines[1:], *facts])
    return f'<p class="lead">{escape(lines[0])}</p>' + (f"<ul>{items}</ul>" if items else "")


def _headline(subject: Subject) -> str:
    summary = subject.content.summary
    if "steps" in summary and ("mean" in summary or "best" in summary):
        return " · ".join(part.strip() for part in headline(summary).split("  ")).replace(" · (", " (")
    reached = max((int(line.x[-1]) for line in subject.lines.values() if len(line.x)), default=0)
    return f"{subject.content.status}, at step {reached}"


def _remarks(subject: Subject, several: bool) -> str:
    """What deserves a look, in a box, and what is as it should be, as a list."""
    entries = remarks(subject)
    warned = [line.removeprefix("warning: ") for line in warnings(subject.content.summary)]
    seen = {remark.sentence for remark in entries}
    careful = [
        *(line for line in warned if line not in seen),
        *(remark.sentence for remark in entries if not remark.fine),
    ]
    fine = [remark.sentence for remark in entries if remark.fine]
    whose = f": {escape(subject.label)}" if several else ""
    items = "".join(f"<li>{escape(line)}</li>" for line in careful)
    box = f'<div class="note"><strong>Worth a look{whose}</strong><ul>{items}</ul></div>' if items else ""
    prefix = f"{subject.label}: " if several else ""
    return box + "".join(f'<p class="dim">{escape(prefix + line)}.</p>' for line in fine)


def _results(subject: Subject) -> str:
    """The metrics of one run or group."""
    summary = subject.content.summary
    baseline, order = summary.get("baseline"), summary.get("targets", ())
    if "mean" in summary:
        words = f'<p class="dim">{escape(runs_line(summary))}</p>'
        section = shown_section(summary)
        means = {section: summary["mean"].get(section, {}), **summary["mean"]}
        of_metrics = {name: mean_with_gaps(summary, name) for name in means}
        tables = metric_tables(of_metrics, summary["ci95"], baseline, targets=order, bounds=subject.bounds)
        return _sheets(tables) + words
    if "metrics" in summary and "last" in summary["metrics"]:
        gaps = summary.get("undefined", {})
        sections = {name: with_gaps(summary["metrics"][name], gaps) for name in ("best", "last")}
        return _sheets(metric_tables(sections, None, baseline, targets=order, bounds=subject.bounds))
    newest = {name: float(line.y[-1]) for name, line in subject.lines.items() if len(line.y)}
    return _sheets(metric_tables({"newest": with_gaps(newest)}, bounds=subject.bounds))


def _sheets(sheets: Sequence[Sheet]) -> str:
    return "".join(map(sheet_table, sheets))


def _of_the_run(subject: Subject, several: bool) -> str:
    """Columns of its table, its whole spec, and where it came from."""
    whose = f" of {escape(subject.label)}" if several else ""
    parts = [f"<h2>The run{whose}</h2>"]
    described = columns.read(subject.folder)
    if described.columns:
        rows = "".join(
            f"<li><b>{escape(about.name)}</b>: {escape(about.role)}, {escape(about.kind)}"
            f"{escape(f', {about.becomes}' if about.becomes else '')}</li>"
            for about in described.columns
        )
        parts.append(
            f"<details><summary>{len(described.columns)} columns of its table</summary><ul>{rows}</ul></details>"
        )
    resolved = subject.folder / RESOLVED
    if resolved.is_file():
        text = escape(fsio.read_file(resolved).decode(errors="replace"))
        parts.append(
            f"<details><summary>its spec, every default filled in</summary><pre>{text}</pre></details>"
        )
    lines = page_lines(subject.folder, subject.content.origin)
    parts += [f'<p class="dim">{escape(line)}</p>' for line in lines]
    return "".join(parts)
