"""Which files of a run folder are missing or cannot be read, found out without reading arrays."""

from __future__ import annotations

from pathlib import Path

from nnrun.errors import NnrunError
from nnrun.record import checkpoint, metrics, run, tags
from nnrun.record.summary import Summary
from nnrun.report.summary import read_summary

__all__ = ["SUMMARY", "damaged_file", "lost_best_step"]

METRICS = "metrics.jsonl"
SUMMARY = "summary.json"


def damaged_file(folder: Path) -> str | None:
    """The first file that a run or group, or a run of it, should have and that is missing or damaged.

    Its path below `folder`; of a file that a run which is done has lost, `PATH missing`.  None: all are there.
    """
    try:
        state = run.read_state(folder)
    except NnrunError:
        return run.STATE
    try:
        summary = read_summary(folder)
    except NnrunError:
        return SUMMARY
    try:
        tags.read(folder)
    except NnrunError:
        return tags.TAGS
    if not summary and state["status"] == "done" and not _is_inside(folder):
        return f"{SUMMARY} missing"
    if "trials" in summary:
        return None  # a sweep looks after its trials itself
    if "runs" not in summary:
        return None if _reads(folder / METRICS) else METRICS
    for member in summary["runs"]:
        name = str(member["run"])
        if inner := damaged_file(folder / name):
            return f"{name}/{inner}"
    return None


def _is_inside(folder: Path) -> bool:
    """Whether it is a seed or a trial: one that ends before the others gets its summary when they end."""
    above = folder.absolute().parent
    return run.is_run(above) or run.is_run(above.parent)


def _reads(file: Path) -> bool:
    """Whether a file of metrics can be read; there is none before the first line."""
    try:
        return not file.exists() or metrics.is_whole(file)
    except NnrunError:
        return False


def lost_best_step(folder: Path, summary: Summary) -> int | None:
    """The best step of a run that is over, where there is no checkpoint of it; None where there is one."""
    best = summary.get("best")
    if best is None or best["step"] in checkpoint.steps(folder / "checkpoints"):
        return None
    return best["step"]
