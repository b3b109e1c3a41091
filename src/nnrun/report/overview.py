"""Runs in a list: what each is, and a table of them."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NotRequired

from rich.text import Text
from typing_extensions import TypedDict

from nnrun.errors import NnrunError
from nnrun.record import metrics, run, tags
from nnrun.record.names import METRICS
from nnrun.record.summary import Summary
from nnrun.report.damage import damaged_beside, damaged_file
from nnrun.report.settings import setting_text, settings_text
from nnrun.report.sheet import Sheet, SheetColumn
from nnrun.report.summary import finished, read_summary, shown_section, some_of
from nnrun.report.values import NO_METRIC, UNDEFINED, bounds_in, mean_with_gaps, number
from nnrun.statistics.metric import Ends, Metric, Undefined, all_bounds, all_ends, metric_of, without_targets

__all__ = [
    "STATUS_COLOURS",
    "OverviewRow",
    "has_no_value",
    "metric_in",
    "newest_values",
    "overview",
    "overview_table",
    "value_of",
]

STATUS_COLOURS = {
    "done": "green", "running": "cyan", "diverged": "red", "failed": "red", "crashed": "yellow",
}  # fmt: skip
_MOST_SETTINGS = 6  # of a row, in a table


class OverviewRow(TypedDict):
    """What `nnrun ls` says of a run or group."""

    run: str
    status: str  # one of run.STATUSES, crashed or damaged
    step: int | None
    best: Mapping[str, object] | None  # metrics of the validation part; None: there are none
    test: Mapping[str, object]
    reason: NotRequired[str | None]  # why it ended; of one that is damaged, which file is
    changed: NotRequired[float]  # seconds since 1970
    seeds: NotRequired[int]
    folds: NotRequired[int]
    done: NotRequired[int]  # of the seeds or folds
    early: NotRequired[int]  # seeds that stopped early
    tags: NotRequired[list[str]]
    rising: NotRequired[list[str]]  # the metrics of which more is better, without the part of the data
    bounds: NotRequired[dict[str, Ends]]  # the least and the most that metrics can be, likewise
    undefined: NotRequired[dict[str, str]]  # metric that has no value -> why
    settings: NotRequired[Mapping[str, object]]  # where they were asked for: key of the spec -> value


def overview(folders: Iterable[Path]) -> list[OverviewRow]:
    """One row for each run: name, status, step, judged metric, test metrics, when it last changed."""
    return [_row(folder) for folder in folders]


def _row(folder: Path) -> OverviewRow:
    row: OverviewRow = {"run": str(folder), "status": "damaged", "step": None, "best": None, "test": {}}
    try:
        state = run.read_state(folder)
        status = run.status(folder) if state["status"] == "running" else state["status"]
        row.update({"status": status, "step": state.get("step"), "reason": state.get("reason")})
        row["changed"] = (folder / run.STATE).stat().st_mtime
        summary = read_summary(folder)
        if known := tags.read(folder):
            row["tags"] = known
        if rising := _rising(summary):
            row["rising"] = rising
        if bounds := all_ends(bounds_in(summary)):
            row["bounds"] = bounds
        if "metrics" in summary and (gaps := summary.get("undefined")):
            row["undefined"] = gaps
        damaged = damaged_beside(folder, state, summary)
    except (NnrunError, OSError):
        # Whatever its state says: something is there that cannot be read.
        return {**row, "status": "damaged", "reason": damaged_file(folder)}
    if damaged:
        return {**row, "status": "damaged", "reason": damaged}
    best: Mapping[str, object]
    if "mean" in summary:
        means = mean_with_gaps(summary, shown_section(summary))
        gaps = {name: value.reason for name, value in means.items() if isinstance(value, Undefined)}
        if gaps:
            row["undefined"] = gaps
        best = {**means, **dict.fromkeys(gaps, "nan")}  # as the summary of a run has them
        row["folds" if "folds" in summary else "seeds"] = len(summary["runs"])
        row.update({"done": finished(summary), "step": summary["steps"]})
        row["early"] = sum(bool(member.get("stopped_early")) for member in summary["runs"])
    elif "metrics" in summary:
        best = summary["metrics"]["best"]
    else:
        try:
            best = newest = newest_values(folder)
        except NnrunError:  # somewhere between the ends of a long file, which are looked at for all runs
            return {**row, "status": "damaged", "reason": METRICS}
        if "step" in newest:
            row["step"] = int(newest["step"])
    row["best"] = {name: value for name, value in best.items() if name.startswith("val/")} or None
    row["test"] = {name: value for name, value in best.items() if name.startswith("test/")}
    return row


def _rising(summary: Summary) -> list[str]:
    """The metrics of a run, or of the runs of a group, of which more is better."""
    alone = summary.get("rising", ()) if "runs" not in summary else ()
    members = [name for member in summary.get("runs", ()) for name in member.get("rising", ())]
    return sorted({*alone, *members})


def newest_values(folder: Path) -> dict[str, float]:
    """The newest value of each metric of a run that has no summary, and the step of its newest line.

    Raises RunError where a line is damaged.
    """
    newest: dict[str, float] = {}
    for record in metrics.read(folder / METRICS):
        newest |= record
    return newest


def overview_table(rows: Sequence[OverviewRow], columns: Sequence[str] = ()) -> Sheet:
    """The rows for a terminal.

    columns   what stands beside the names; (): status, step, tags and settings where there are any, all metrics of
              the validation and test part, and how long ago the run changed
    """
    shown = [_column(name, rows) for name in columns or _usual(rows)]
    return Sheet([SheetColumn("run", [Text(row["run"]) for row in rows], "name"), *shown])


def value_of(row: OverviewRow, name: str) -> object:
    """The value of a column in a row: status, step, changed, seeds, folds, tags, a metric or a setting; None: none."""
    measured = {**row["test"], **(row["best"] or {})}
    if name in measured:
        return measured[name]
    if name in row.get("settings", {}):
        return row.get("settings", {})[name]
    if name == "tags":
        return " ".join(row.get("tags", ())) or None
    return row.get(name) if name in ("run", "status", "step", "changed", "seeds", "folds") else None


def _usual(rows: Sequence[OverviewRow]) -> list[str]:
    measured = [name for row in rows for name in (*(row["best"] or {}), *row["test"])]
    names = sorted(
        without_targets(dict.fromkeys(measured)), key=lambda name: (not name.startswith("val/"), name)
    )
    noted = ["tags"] if any(row.get("tags") for row in rows) else []
    differing = ["settings"] if any(row.get("settings") for row in rows) else []
    return ["status", "step", *noted, *names, "changed", *differing]


def _column(name: str, rows: Sequence[OverviewRow]) -> SheetColumn:
    if name == "status":
        cells = [Text(_status_cell(row), STATUS_COLOURS.get(row["status"], "")) for row in rows]
        return SheetColumn(name, cells, "name")
    if name == "settings":
        return SheetColumn(name, [Text(_settings_cell(row.get("settings", {}))) for row in rows], "words")
    if name == "changed":
        return SheetColumn(name, [Text(_ago(row.get("changed"))) for row in rows], "name")
    values = [value_of(row, name) for row in rows]
    words = any(
        isinstance(value, str) and name not in row.get("undefined", {})
        for value, row in zip(values, rows, strict=True)
    )
    kind = "name" if words else "number"
    cells = [_shown(value, row, name) for value, row in zip(values, rows, strict=True)]
    return SheetColumn(name, [Text(cell) for cell in cells], kind)


def _settings_cell(settings: Mapping[str, object]) -> str:
    """The first few settings in which runs differ, and how many more there are."""
    names = settings_text(settings, only=_MOST_SETTINGS)
    left = len(settings) - _MOST_SETTINGS
    return f"{names}  +{left} more" if left > 0 else names


def _shown(value: object, row: OverviewRow, name: str) -> str:
    if value is None:
        return ""
    if has_no_value(row, name):
        return UNDEFINED
    if isinstance(value, int | float) and not isinstance(value, bool):
        return number(value, metric_in(row, name))
    return setting_text(value)


def has_no_value(row: OverviewRow, name: str) -> bool:
    """Whether a column is a metric that has no value for a run, or for one of a group, for a known reason."""
    return name in row.get("undefined", {}) and isinstance(value_of(row, name), str)


def metric_in(row: OverviewRow, name: str) -> Metric:
    """The metric that a column shows, if it is one."""
    return (
        metric_of(name, row.get("rising", ()), all_bounds(row.get("bounds", {})))
        if "/" in name
        else NO_METRIC
    )


def _status_cell(row: OverviewRow) -> str:
    """The status; of a group with its seeds, and whether it, or how many of them, stopped early."""
    if row["status"] == "damaged":
        return f"damaged ({row.get('reason')})" if row.get("reason") else "damaged"
    early = row.get("early")
    notes = [
        f"{some_of(row.get('done', 0), count)} {runs}"
        for runs, count in (("seeds", row.get("seeds")), ("folds", row.get("folds")))
        if count
    ]
    if early:
        notes.append(f"{early} stopped early")
    elif row["status"] == "done" and row.get("reason"):  # nothing else ends a run that is done
        notes.append("stopped early")
    return row["status"] + (f" ({', '.join(notes)})" if notes else "")


def _ago(changed: float | None) -> str:
    if changed is None:
        return ""
    seconds = max(0.0, time.time() - changed)
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit} ago"
    return f"{seconds:.0f} s ago"
