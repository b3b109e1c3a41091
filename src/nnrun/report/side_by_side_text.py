"""Runs side by side as a table for a terminal, as CSV, as Markdown, and as plain data."""

from __future__ import annotations

import csv
import io
import json

from rich.console import Group
from rich.text import Text
from typing_extensions import TypedDict

from nnrun.report.entry import Entry
from nnrun.report.settings import setting_text
from nnrun.report.sheet import Sheet, sheet_of
from nnrun.report.side_by_side import SideBySide, value
from nnrun.report.summary import some_of
from nnrun.report.values import UNDEFINED, level, span
from nnrun.statistics.metric import Metric

__all__ = [
    "ComparedMetric",
    "ComparedRun",
    "ComparisonReport",
    "as_csv",
    "as_data",
    "as_markdown",
    "as_sheet",
    "as_table",
]

_ABSENT = "–"


class ComparedMetric(TypedDict):
    """A metric of one entry: mean and 95% interval, null where there is none, and the value of each seed."""

    mean: float | None
    low: float | None
    high: float | None
    values: dict[str, float]


class ComparedRun(TypedDict):
    """A run, a group of seeds, or runs that differ in nothing but the seed."""

    run: str  # the first of its folders
    folders: list[str]
    name: str
    status: str
    seeds: list[int]  # [] of an average of models
    settings: dict[str, object]  # those that differ between the entries; null where it has none
    metrics: dict[str, ComparedMetric]


class ComparisonReport(TypedDict):
    """What `nnrun compare --json` prints."""

    runs: list[ComparedRun]
    metric: str | None  # which the tests are of
    comparisons: list[dict[str, object]]  # of each pair, as in leaderboard.json
    answer: list[str]


def as_table(comparison: SideBySide) -> Group:
    """The sheet, then what the tests say."""
    return Group(as_sheet(comparison), Text(""), *(Text(line) for line in comparison.sentences))


def as_sheet(comparison: SideBySide) -> Sheet:
    """Runs as rows or, where there are more settings than runs, as columns."""
    head, rows = _cells(comparison)
    if len(head) > len(rows) + 1:
        turned = list(zip(head, *rows, strict=True))
        head, rows = list(turned[0]), [list(row) for row in turned[1:]]
    return sheet_of(head, rows, ["name"] + ["words"] * (len(head) - 1))


def as_markdown(comparison: SideBySide) -> str:
    """A table with runs as rows, and the sentences as a list."""
    head, rows = _cells(comparison)
    lines = [head, ["---"] * len(head), *rows]
    table = "\n".join("| " + " | ".join(map(_escaped, line)) + " |" for line in lines)
    return table + "\n\n" + "\n".join(f"- {_escaped(line)}" for line in comparison.sentences)


def _escaped(text: str) -> str:
    return " ".join(text.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").split())


def as_csv(comparison: SideBySide) -> str:
    """A line for each run; of each metric the mean and the ends of its interval."""
    content = io.StringIO()
    writer = csv.writer(content, lineterminator="\n")
    ends = [f"{metric}{end}" for metric in comparison.metrics for end in ("", " low", " high")]
    writer.writerow(["run", "status", "seeds", *comparison.keys, *ends])
    for entry in comparison.entries:
        numbers = [number for metric in comparison.metrics for number in value(entry, metric)]
        settings = [
            _csv_cell(entry.settings[key]) if key in entry.settings else None for key in comparison.keys
        ]
        writer.writerow(
            [
                _csv_cell(entry.name),
                entry.status,
                None if entry.average else len(entry.seeds),
                *settings,
                *numbers,
            ]
        )
    return content.getvalue().rstrip("\n")


def _csv_cell(content: object) -> object:
    """A text that a spreadsheet would take for a formula is written behind an apostrophe."""
    if isinstance(content, (list, dict, bool)) or content is None:
        return json.dumps(content)
    return f"'{content}" if isinstance(content, str) and content[:1] in "=+-@\t\r" and content else content


def as_data(comparison: SideBySide) -> ComparisonReport:
    """For programs."""
    return {
        "runs": [
            ComparedRun(
                run=str(entry.runs[0]),
                folders=[str(folder) for folder in entry.runs],
                name=entry.name,
                status=entry.status,
                seeds=[] if entry.average else list(entry.seeds),
                settings={key: entry.settings.get(key) for key in comparison.keys},
                metrics={metric.name: _compared(entry, metric) for metric in comparison.metrics},
            )
            for entry in comparison.entries
        ],
        "metric": comparison.metric and comparison.metric.name,
        "comparisons": [pair.as_data() for pair in comparison.comparisons],
        "answer": comparison.sentences,
    }


def _compared(entry: Entry, metric: Metric) -> ComparedMetric:
    mean, low, high = value(entry, metric)
    values = {str(seed): number for seed, number in entry.metrics.get(metric.name, {}).items()}
    return {"mean": mean, "low": low, "high": high, "values": values}


def _cells(comparison: SideBySide) -> tuple[list[str], list[list[str]]]:
    """Heads and rows as text."""
    unfinished = any(entry.status != "done" for entry in comparison.entries)
    head = [
        "run",
        *(["status"] if unfinished else []),
        *comparison.keys,
        " or ".join(dict.fromkeys(entry.unit for entry in comparison.entries)),
        *map(str, comparison.metrics),
    ]
    rows = []
    for entry in comparison.entries:
        settings = [
            setting_text(entry.settings[key]) if key in entry.settings else _ABSENT for key in comparison.keys
        ]
        results = [_result(entry, metric) for metric in comparison.metrics]
        finished = max((len(known) for known in entry.metrics.values()), default=0)
        rows.append(
            [
                entry.name,
                *([entry.status] if unfinished else []),
                *settings,
                _ABSENT if entry.average else some_of(finished, len(entry.seeds)),
                *results,
            ]
        )
    return head, rows


def _result(entry: Entry, metric: Metric) -> str:
    mean, low, high = value(entry, metric)
    if mean is None and metric.name in entry.undefined:
        return UNDEFINED
    return f"{level(metric, mean)} {span(metric, low, high)}".rstrip()
