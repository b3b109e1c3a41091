"""Run folders as tables."""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import cast

import numpy as np
from rich.console import Group, RenderableType
from rich.text import Text

from nnrun.amounts import figure
from nnrun.errors import NnrunError
from nnrun.record import columns, run, tags
from nnrun.record.names import ACCOUNT, SUMMARY
from nnrun.record.summary import RunSummary, Summary, SweepSummary
from nnrun.report.columns import COLUMN_INDENT, column_lines
from nnrun.report.content import read_content
from nnrun.report.damage import damaged_checkpoints, damaged_file, lost_best_step
from nnrun.report.ensemble import tables
from nnrun.report.ensemble.account import Account
from nnrun.report.lines import CurveLine, Folded
from nnrun.report.metric_table import metric_tables
from nnrun.report.overview import STATUS_COLOURS, newest_values
from nnrun.report.provenance import data_line, origin_lines
from nnrun.report.run.remarks import remarks
from nnrun.report.run.subject import Subject, read_subject
from nnrun.report.summary import (
    FOLD_PARTS,
    RUN_PARTS,
    headline,
    read_summary,
    runs_line,
    shown_section,
    warnings,
)
from nnrun.report.terminal_chart import FEWEST, TerminalChart, last_interval
from nnrun.report.values import bounds_in, mean_with_gaps, number, with_gaps
from nnrun.statistics.metric import metric_of, without_targets

__all__ = ["show_view"]

_LABEL = 9  # characters of a label with its blanks
_PARTS = ("train/", "val/")
_RESUMABLE = ("created", "interrupted", "crashed", "failed")


def show_view(folder: Path) -> Group:
    """What `nnrun show` prints: state, metrics, curves, checkpoints, where it came from."""
    content = read_content(folder)
    summary, status = content.summary, content.status
    parts: list[RenderableType] = [
        Text.assemble((str(folder), "bold"), "  ", (status, STATUS_COLOURS.get(status, "")))
    ]
    if "reason" in content.state:
        parts.append(Text(("" if status == "done" else "reason: ") + content.state["reason"]))
    if known_tags := tags.read(folder):
        parts.append(Text(f"tags     {', '.join(known_tags)}"))
    subject = read_subject(folder.name, folder)
    if "steps" in summary and ("mean" in summary or "best" in summary):
        parts.append(Text(headline(summary), "bold"))
    parts += map(Text, warnings(summary))
    parts += [
        Folded(f"{remark.about:8} {remark.sentence}", _LABEL)
        for remark in remarks(subject)
        if remark.about != "end"
    ]
    parts += _metrics(subject)
    if (folder / ACCOUNT).is_file():
        account: Account = run.read_json(folder / ACCOUNT)
        parts += tables.view(account)
    described = columns.read(folder)
    parts += [Folded(line, COLUMN_INDENT) for line in column_lines(described.columns)]
    parts += map(Text, described.notes)
    parts += _curves(subject)
    if "best" in summary and (best := summary["best"]):
        value = number(best["value"], metric_of(best["metric"] or "", (), bounds_in(summary)))
        parts.append(Text(f"best     {best['metric']} {value} at step {best['step']}"))
    parts += _damage_of_checkpoints(folder, status, summary)
    for member in content.members:
        parts += _damage_of_member(member)
    if content.checkpoints:
        parts.append(Text("kept     checkpoints of steps " + ", ".join(map(str, content.checkpoints))))
    parts += [Text(f"member   {path}") for path in content.members]
    if status == "done" and not summary:
        place = shlex.quote(str(folder))
        parts.append(
            Text(f"lost     {SUMMARY}; nnrun resume {place} writes it again from the last checkpoint")
        )
    if status in _RESUMABLE:
        parts.append(Text(f"continue  nnrun resume {shlex.quote(str(folder))}"))
    lines = [*data_line(folder, content.origin), *origin_lines(content.origin)]
    return Group(*parts, *(Folded(line, _LABEL, "dim") for line in lines))


def _metrics(subject: Subject) -> list[RenderableType]:
    """The tables of metrics of a run or group; of one that has no summary the newest values."""
    summary, parts = subject.content.summary, list[RenderableType]()
    if "mean" in summary:
        if summary["mean"]:
            reference, shown = summary.get("baseline"), shown_section(summary)
            of_data = FOLD_PARTS if "folds" in summary else RUN_PARTS
            order = summary.get("targets", ())
            means = {section: mean_with_gaps(summary, section) for section in summary["mean"]}
            parts += metric_tables(means, summary["ci95"], reference, shown, of_data, order, subject.bounds)
        parts.append(Text(runs_line(summary), "dim"))
    elif "metrics" in summary and any(_sections(summary).values()):
        order = summary.get("targets", ())
        parts += metric_tables(
            _sections(summary), None, summary.get("baseline"), targets=order, bounds=subject.bounds
        )
    elif newest := newest_values(subject.folder):
        step = newest.pop("step")
        parts.append(Text(f"reached   step {step}, epoch {figure(newest.pop('epoch', 0))}"))
        parts += metric_tables({"newest": with_gaps(newest)}, bounds=subject.bounds)
    return parts


def _damage_of_checkpoints(folder: Path, status: str, summary: Summary) -> Iterator[Text]:
    """Lines about checkpoints: whether that of the best step is lost, and which are cut short."""
    if status == "done" and (lost := lost_best_step(folder, summary)) is not None:
        yield Text(
            f"lost     the checkpoint of the best step, {lost}; restore it to evaluate or predict with it"
        )
    if damaged := damaged_checkpoints(folder):
        steps = ", ".join(map(str, damaged))
        yield Text(f"damaged  checkpoints of steps {steps}, cut short; restore them from a copy", "red")


def _damage_of_member(member: Path) -> list[Text]:
    """The same of a seed or fold of a group, with its name."""
    try:
        status, summary = run.status(member), read_summary(member)
    except NnrunError:  # `nnrun ls` of the group names the file
        return [Text(f"damaged  {member.name}: {damaged_file(member)}", "red")]
    lines = _damage_of_checkpoints(member, status, summary)
    return [Text(f"{text.plain[:_LABEL]}{member.name}: {text.plain[_LABEL:]}", text.style) for text in lines]


def _sections(summary: RunSummary | SweepSummary) -> dict[str, Mapping[str, object]]:
    """The metrics of the best state and, where the summary has them, of the last one."""
    columns, gaps = summary["metrics"], summary.get("undefined", {})
    named = {"best": columns["best"], **({"last": columns["last"]} if "last" in columns else {})}
    return {name: with_gaps(metrics, gaps) for name, metrics in named.items()}


def _curves(subject: Subject) -> list[RenderableType]:
    """The metric that judges and the loss on axes of their own, other metrics as rows of bars; of a group means."""
    lines, judge = subject.lines, subject.judge
    names = sorted(name for name in without_targets(lines) if name.startswith(_PARTS))
    width = max(map(len, names), default=0) + 1
    charts: list[RenderableType] = []
    for name in dict.fromkeys([judge.name if judge else "val/loss", "val/loss"]):
        pair = [f"train/{name.removeprefix('val/')}", name]
        shown = tuple(lines[name]._replace(label=name) for name in pair if name in names)
        if max((int(np.isfinite(line.y).sum()) for line in shown), default=0) < FEWEST:
            continue
        open_ended = math.isinf(subject.metric(name).bounds[1])
        of = subject.metric(name)
        charts.append(TerminalChart(shown, f"{subject.runs} {subject.unit}", open_ended, width, metric=of))
        names = [name for name in names if name not in pair]
    last = with_gaps({name: float(line.y[-1]) for name, line in lines.items() if len(line.y)})
    bars = [
        CurveLine(
            name,
            [*lines[name].y.tolist()[:-1], cast("float", last[name])],
            width,
            last_interval(lines[name]),
            subject.metric(name),
        )
        for name in names
    ]
    return [*charts, *bars]
