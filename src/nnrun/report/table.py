"""Run folders as tables and as plain data."""

from __future__ import annotations

import contextlib
import shlex
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from nnrun.errors import NnrunError, RunError, one_line
from nnrun.record import checkpoint, metrics, run
from nnrun.report.ensemble import tables
from nnrun.report.live import sparkline
from nnrun.report.summary import finished, number, read_summary, rises, seeds_line, some_of

__all__ = [
    "describe",
    "metric_table",
    "overview",
    "overview_table",
    "show_view",
]

_COLOURS = {"done": "green", "running": "cyan", "diverged": "red", "failed": "red", "crashed": "yellow"}
_RESUMABLE = ("created", "interrupted", "crashed", "failed")


def overview(folders: Iterable[Path]) -> list[dict[str, Any]]:
    """One record for each run: name, status, step, judged metric, test metrics, when it last changed."""
    return [_row(folder) for folder in folders]


def _row(folder: Path) -> dict[str, Any]:
    row: dict[str, Any] = {"run": str(folder), "status": "damaged", "step": None, "best": None, "test": {}}
    try:
        state = run.read_state(folder)
        row |= {"status": run.status(folder), "step": state.get("step")}
        row["reason"] = state.get("reason")
        row["changed"] = (folder / run.STATE).stat().st_mtime
        summary = read_summary(folder)
    except (NnrunError, OSError):
        return row
    if "mean" in summary:
        best = summary["mean"].get("best", {})
        row |= {"seeds": len(summary["runs"]), "done": finished(summary), "step": summary["steps"]}
        row["early"] = sum(bool(member.get("stopped_early")) for member in summary["runs"])
    else:
        best = summary["metrics"]["best"] if summary else _newest(folder)
        row["step"] = best.get("step", row["step"])
    row["best"] = {name: value for name, value in best.items() if name.startswith("val/")} or None
    row["test"] = {name: value for name, value in best.items() if name.startswith("test/")}
    return row


def _newest(folder: Path) -> dict[str, Any]:
    """The newest value of each metric of a run that has no summary, and the step of its newest line."""
    newest: dict[str, Any] = {}
    with contextlib.suppress(NnrunError):
        for record in metrics.read(folder / "metrics.jsonl"):
            newest |= record
    return newest


def overview_table(rows: list[dict[str, Any]]) -> Table:
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


def _status_cell(row: Mapping[str, Any]) -> str:
    """The status; of a group with its seeds, and whether it, or how many of them, stopped early."""
    notes = [f"{some_of(row['done'], row['seeds'])} seeds"] if row.get("seeds") else []
    if row.get("early"):
        notes.append(f"{row['early']} stopped early")
    elif row["status"] == "done" and row.get("reason"):  # nothing else ends a run that is done
        notes.append("stopped early")
    return row["status"] + (f" ({', '.join(notes)})" if notes else "")


def _numbers(metrics_: Mapping[str, Any]) -> str:
    return "  ".join(f"{name.partition('/')[2]} {number(value)}" for name, value in metrics_.items())


def _ago(changed: float | None) -> str:
    if changed is None:
        return ""
    seconds = max(0.0, time.time() - changed)
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit} ago"
    return f"{seconds:.0f} s ago"


def describe(folder: Path) -> dict[str, Any]:
    """What `nnrun show` prints of a run or group, as plain data."""
    state = run.read_state(folder)
    members = run.members(folder)
    description: dict[str, Any] = {
        "run_dir": str(folder),
        "status": run.status(folder),
        **{key: value for key, value in state.items() if key != "status"},
        **{key: value for key, value in read_summary(folder).items() if key != "status"},
        "provenance": _provenance(folder),
    }
    if members:
        description["members"] = [str(path) for path in members]
    else:
        description["checkpoints"] = (
            checkpoint.steps(folder / "checkpoints") if (folder / "checkpoints").is_dir() else []
        )
    return description


def _provenance(folder: Path) -> dict[str, Any]:
    try:
        return run.read_json(folder / "run.json")
    except RunError:
        return {}


def metric_table(
    sections: Mapping[str, Mapping[str, Any]], intervals: Mapping[str, Any] | None = None
) -> Table:
    """Metrics of several states side by side: {column: {metric: value}}, ± the half width of an interval."""
    table = Table(box=None, header_style="dim", pad_edge=False)
    table.add_column("metric")
    for name in sections:
        table.add_column(name, justify="right")
    names = dict.fromkeys(name for section in sections.values() for name in section)
    for name in sorted(names, key=lambda name: (name.startswith(("grad", "learning", "update")), name)):
        cells = []
        for column, section in sections.items():
            half = ((intervals or {}).get(column) or {}).get(name)
            cells.append(
                (number(section[name]) if name in section else "") + (f" ± {half:.2g}" if half else "")
            )
        table.add_row(Text(name), *cells)
    return table


def show_view(folder: Path) -> Group:
    """What `nnrun show` prints: state, metrics, curves, checkpoints, where it came from."""
    description = describe(folder)
    status = Text.assemble(
        (description["run_dir"], "bold"),
        "  ",
        (description["status"], _COLOURS.get(description["status"], "")),
    )
    parts: list[Any] = [status]
    if "reason" in description:
        prefix = "" if description["status"] == "done" else "reason: "
        parts.append(Text(prefix + description["reason"]))
    parts += map(Text, rises(description))
    if description.get("mean"):
        parts.append(metric_table(description["mean"], description["ci95"]))
    if "mean" in description:
        parts.append(Text(seeds_line(finished(description), len(description["runs"])), "dim"))
    elif "metrics" in description:
        parts.append(metric_table(description["metrics"]))
    elif newest := _newest(folder):
        step = newest.pop("step")
        parts.append(Text(f"reached   step {step}, epoch {newest.pop('epoch', 0):.4g}"))
        parts.append(metric_table({"newest": newest}))
    if (folder / tables.ACCOUNT).is_file():
        parts += tables.view(run.read_json(folder / tables.ACCOUNT))
    parts += _curves(folder)
    if description.get("best"):
        best = description["best"]
        parts.append(Text(f"best     {best['metric']} {number(best['value'])} at step {best['step']}"))
    if description.get("checkpoints"):
        parts.append(Text("kept     checkpoints of steps " + ", ".join(map(str, description["checkpoints"]))))
    parts += [Text(f"member   {path}") for path in description.get("members", [])]
    if description["status"] in _RESUMABLE:
        parts.append(Text(f"continue  nnrun resume {shlex.quote(description['run_dir'])}"))
    return Group(*parts, *_origin(description["provenance"]))


def _curves(folder: Path) -> list[Text]:
    columns = metrics.columns(metrics.read(folder / "metrics.jsonl"))
    names = sorted(name for name in columns if name.startswith(("train/", "val/")))
    width = max(map(len, names), default=0) + 1
    rows = []
    for name in names:
        values = columns[name][1].tolist()
        rows.append(Text.assemble(f"{name:{width}}", (sparkline(values), "green"), f" {number(values[-1])}"))
    return rows


def _origin(provenance: Mapping[str, Any]) -> list[Text]:
    if not provenance:
        return []
    versions, git = provenance.get("versions") or {}, provenance.get("git") or {}
    device = (provenance.get("device") or {}).get("kind", "")
    commit = (
        f", commit {str(git.get('commit'))[:10]}{' + changes' if git.get('dirty') else ''}" if git else ""
    )
    software = ", ".join(f"{name} {versions[name]}" for name in ("nnrun", "jax") if versions.get(name))
    return [
        Text(f"from     {_command(provenance.get('argv') or [])}", "dim"),
        Text(f"on       {device}, {software}{commit}, begun {provenance.get('started', '')}", "dim"),
    ]


def _command(argv: Sequence[Any]) -> str:
    """The command line as it can be typed again; how Python found nnrun is of no interest."""
    name = "nnrun" if argv and Path(str(argv[0])).name in ("nnrun", "__main__.py") else str(*argv[:1])
    return one_line(shlex.join([name, *map(str, argv[1:])]))
