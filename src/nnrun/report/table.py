"""Run folders as tables and as plain data."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Group, RenderableType
from rich.text import Text

from nnrun.errors import one_line
from nnrun.record import columns, metrics, run, tags
from nnrun.record.provenance import Provenance
from nnrun.record.summary import RunSummary, SweepSummary
from nnrun.record.weights_from import in_words, lineage
from nnrun.report.columns import column_lines
from nnrun.report.content import read_content
from nnrun.report.ensemble import tables
from nnrun.report.ensemble.account import Account
from nnrun.report.live import sparkline
from nnrun.report.metric_table import metric_tables
from nnrun.report.overview import STATUS_COLOURS, newest_values
from nnrun.report.summary import (
    FOLD_PARTS,
    RUN_PARTS,
    number,
    runs_line,
    shown_section,
    warnings,
)
from nnrun.statistics.metric import without_targets

__all__ = [
    "describe",
    "show_view",
]

_RESUMABLE = ("created", "interrupted", "crashed", "failed")


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
        Text.assemble((str(folder), "bold"), "  ", (status, STATUS_COLOURS.get(status, "")))
    ]
    if "reason" in content.state:
        parts.append(Text(("" if status == "done" else "reason: ") + content.state["reason"]))
    if known_tags := tags.read(folder):
        parts.append(Text(f"tags     {', '.join(known_tags)}"))
    parts += map(Text, warnings(summary))
    if "mean" in summary:
        if summary["mean"]:
            reference, shown = summary.get("baseline"), shown_section(summary)
            of_data = FOLD_PARTS if "folds" in summary else RUN_PARTS
            parts += metric_tables(summary["mean"], summary["ci95"], reference, shown, of_data)
        parts.append(Text(runs_line(summary), "dim"))
    elif "metrics" in summary:
        parts += metric_tables(_sections(summary), None, summary.get("baseline"))
    elif newest := newest_values(folder):
        step = newest.pop("step")
        parts.append(Text(f"reached   step {step}, epoch {newest.pop('epoch', 0):.4g}"))
        parts += metric_tables({"newest": newest})
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
    names = sorted(name for name in without_targets(curves) if name.startswith(("train/", "val/")))
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
