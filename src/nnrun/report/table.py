"""Run folders as tables and as plain data."""

from __future__ import annotations

import contextlib
import shlex
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NotRequired, TypedDict

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from nnrun.errors import NnrunError, one_line
from nnrun.record import columns, metrics, run
from nnrun.record.provenance import Provenance
from nnrun.record.summary import RunSummary, SweepSummary
from nnrun.record.weights_from import in_words, lineage
from nnrun.report.columns import column_lines
from nnrun.report.content import read_content
from nnrun.report.ensemble import tables
from nnrun.report.ensemble.account import Account
from nnrun.report.live import sparkline
from nnrun.report.metric_table import metric_table
from nnrun.report.summary import (
    finished,
    number,
    read_summary,
    runs_line,
    shown_section,
    some_of,
    warnings,
)

__all__ = [
    "OverviewRow",
    "describe",
    "overview",
    "overview_table",
    "show_view",
]

_COLOURS = {"done": "green", "running": "cyan", "diverged": "red", "failed": "red", "crashed": "yellow"}
_RESUMABLE = ("created", "interrupted", "crashed", "failed")


class OverviewRow(TypedDict):
    """What `nnrun ls` says of a run or group."""

    run: str
    status: str  # one of run.STATUSES, crashed or damaged
    step: int | None
    best: Mapping[str, object] | None  # metrics of the validation part; None: there are none
    test: Mapping[str, object]
    reason: NotRequired[str | None]
    changed: NotRequired[float]  # seconds since 1970
    seeds: NotRequired[int]
    folds: NotRequired[int]
    done: NotRequired[int]  # of the seeds or folds
    early: NotRequired[int]  # seeds that stopped early


def overview(folders: Iterable[Path]) -> list[OverviewRow]:
    """One row for each run: name, status, step, judged metric, test metrics, when it last changed."""
    return [_row(folder) for folder in folders]


def _row(folder: Path) -> OverviewRow:
    row: OverviewRow = {"run": str(folder), "status": "damaged", "step": None, "best": None, "test": {}}
    try:
        state = run.read_state(folder)
        row.update({"status": run.status(folder), "step": state.get("step"), "reason": state.get("reason")})
        row["changed"] = (folder / run.STATE).stat().st_mtime
        summary = read_summary(folder)
    except (NnrunError, OSError):
        return row
    best: Mapping[str, object]
    if "mean" in summary:
        best = summary["mean"].get(shown_section(summary), {})
        row["folds" if "folds" in summary else "seeds"] = len(summary["runs"])
        row.update({"done": finished(summary), "step": summary["steps"]})
        row["early"] = sum(bool(member.get("stopped_early")) for member in summary["runs"])
    elif "metrics" in summary:
        best = summary["metrics"]["best"]
    else:
        best = newest = _newest(folder)
        if "step" in newest:
            row["step"] = int(newest["step"])
    row["best"] = {name: value for name, value in best.items() if name.startswith("val/")} or None
    row["test"] = {name: value for name, value in best.items() if name.startswith("test/")}
    return row


def _newest(folder: Path) -> dict[str, float]:
    """The newest value of each metric of a run that has no summary, and the step of its newest line."""
    newest: dict[str, float] = {}
    with contextlib.suppress(NnrunError):
        for record in metrics.read(folder / "metrics.jsonl"):
            newest |= record
    return newest


def overview_table(rows: Sequence[OverviewRow]) -> Table:
    """The records of `overview` for a terminal."""
    table = Table(box=None, header_style="dim", pad_edge=False)
    for name in ("run", "status", "step", "validation", "test", "changed"):
        # A name that is folded cannot be copied.
        table.add_column(
            name, justify="right" if name == "step" else "left", no_wrap=name in ("run", "status")
        )
    for row in rows:
        table.add_row(
            Text(row["run"]),
            Text(_status_cell(row), _COLOURS.get(row["status"], "")),
            str(row["step"] if row["step"] is not None else ""),
            _numbers(row["best"] or {}),
            _numbers(row["test"]),
            _ago(row.get("changed")),
        )
    return table


def _status_cell(row: OverviewRow) -> str:
    """The status; of a group with its seeds, and whether it, or how many of them, stopped early."""
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


def _numbers(metrics_: Mapping[str, object]) -> str:
    return "  ".join(f"{name.partition('/')[2]} {number(value)}" for name, value in metrics_.items())


def _ago(changed: float | None) -> str:
    if changed is None:
        return ""
    seconds = max(0.0, time.time() - changed)
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit} ago"
    return f"{seconds:.0f} s ago"


def describe(folder: Path) -> dict[str, object]:
    """What `nnrun show` prints of a run or group, as plain data."""
    content = read_content(folder)
    description: dict[str, object] = {
        "run_dir": str(folder),
        "status": content.status,
        **{key: value for key, value in content.state.items() if key != "status"},
        **{key: value for key, value in content.summary.items() if key != "status"},
        "provenance": content.origin,
    }
    described = columns.read(folder)
    if described.columns:
        description["columns"] = [column._asdict() for column in described.columns]
    if described.notes:
        description["notes"] = described.notes
    if content.members:
        description["members"] = [str(path) for path in content.members]
    else:
        description["checkpoints"] = content.checkpoints
    return description


def show_view(folder: Path) -> Group:
    """What `nnrun show` prints: state, metrics, curves, checkpoints, where it came from."""
    content = read_content(folder)
    summary, status = content.summary, content.status
    parts: list[RenderableType] = [
        Text.assemble((str(folder), "bold"), "  ", (status, _COLOURS.get(status, "")))
    ]
    if "reason" in content.state:
        parts.append(Text(("" if status == "done" else "reason: ") + content.state["reason"]))
    parts += map(Text, warnings(summary))
    if "mean" in summary:
        if summary["mean"]:
            parts.append(metric_table(summary["mean"], summary["ci95"], summary.get("baseline")))
        parts.append(Text(runs_line(summary), "dim"))
    elif "metrics" in summary:
        parts.append(metric_table(_sections(summary), None, summary.get("baseline")))
    elif newest := _newest(folder):
        step = newest.pop("step")
        parts.append(Text(f"reached   step {step}, epoch {newest.pop('epoch', 0):.4g}"))
        parts.append(metric_table({"newest": newest}))
    if (folder / tables.ACCOUNT).is_file():
        account: Account = run.read_json(folder / tables.ACCOUNT)
        parts += tables.view(account)
    described = columns.read(folder)
    parts += map(Text, [*column_lines(described.columns), *described.notes])
    parts += _curves(folder)
    if "best" in summary and (best := summary["best"]):
        parts.append(Text(f"best     {best['metric']} {number(best['value'])} at step {best['step']}"))
    if content.checkpoints:
        parts.append(Text("kept     checkpoints of steps " + ", ".join(map(str, content.checkpoints))))
    parts += [Text(f"member   {path}") for path in content.members]
    if status in _RESUMABLE:
        parts.append(Text(f"continue  nnrun resume {shlex.quote(str(folder))}"))
    return Group(*parts, *_origin(content.origin))


def _sections(summary: RunSummary | SweepSummary) -> dict[str, Mapping[str, object]]:
    """The metrics of the best state and, where the summary has them, of the last one."""
    columns = summary["metrics"]
    return {"best": columns["best"], **({"last": columns["last"]} if "last" in columns else {})}


def _curves(folder: Path) -> list[Text]:
    curves = metrics.columns(metrics.read(folder / "metrics.jsonl"))
    names = sorted(name for name in curves if name.startswith(("train/", "val/")))
    width = max(map(len, names), default=0) + 1
    rows = []
    for name in names:
        values = curves[name][1].tolist()
        rows.append(Text.assemble(f"{name:{width}}", (sparkline(values), "green"), f" {number(values[-1])}"))
    return rows


def _origin(origin: Provenance) -> list[Text]:
    if not origin:
        return []
    versions, git = origin.get("versions") or {}, origin.get("git") or {}
    device = (origin.get("device") or {}).get("kind", "")
    commit = (
        f", commit {str(git.get('commit'))[:10]}{' + changes' if git.get('dirty') else ''}" if git else ""
    )
    software = ", ".join(f"{name} {versions[name]}" for name in ("nnrun", "jax") if versions.get(name))
    return [
        Text(f"from     {_command(origin.get('argv') or [])}", "dim"),
        *[Text(f"weights  {in_words(source)}", "dim") for source in lineage(origin.get("weights_from"))],
        Text(f"on       {device}, {software}{commit}, begun {origin.get('started', '')}", "dim"),
    ]


def _command(argv: Sequence[str]) -> str:
    """The command line as it can be typed again; how Python found nnrun is of no interest."""
    name = "nnrun" if argv and Path(str(argv[0])).name in ("nnrun", "__main__.py") else str(*argv[:1])
    return one_line(shlex.join([name, *map(str, argv[1:])]))
