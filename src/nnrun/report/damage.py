"""Which files of a run folder are missing or cannot be read, found out without reading arrays."""

from __future__ import annotations

import hashlib
from pathlib import Path

from nnrun.errors import NnrunError
from nnrun.record import metrics, run, tags
from nnrun.record.names import METRICS, PROVENANCE, RESOLVED, SUMMARY
from nnrun.record.run import RunState
from nnrun.record.summary import Summary
from nnrun.report.summary import read_summary
from nnrun.storage import fsio

__all__ = ["damaged_beside", "damaged_checkpoints", "damaged_file", "lost_best_step"]


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
    return damaged_beside(folder, state, summary)


def damaged_beside(folder: Path, state: RunState, summary: Summary) -> str | None:
    """The same where the state, the summary and the tags of the run have been read."""
    if not summary and state["status"] == "done" and not _is_inside(folder):
        return f"{SUMMARY} missing"
    if "trials" in summary:
        return None  # a sweep looks after its trials itself
    if settings := _damaged_settings(folder):
        return settings
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


def _damaged_settings(folder: Path) -> str | None:
    """Which of run.json and resolved.yaml is damaged; without a digest in run.json, the spec counts as whole."""
    if not (folder / PROVENANCE).exists():
        return None
    try:
        digest = run.read_json(folder / PROVENANCE).get("spec_hash")
    except NnrunError:
        return PROVENANCE
    try:
        same = digest is None or digest == hashlib.sha256(fsio.read_file(folder / RESOLVED)).hexdigest()
    except NnrunError:
        return RESOLVED if (folder / RESOLVED).exists() else f"{RESOLVED} missing"
    return None if same else RESOLVED


def _reads(file: Path) -> bool:
    """Whether a file of metrics can be read; a run that has logged nothing yet has none."""
    try:
        return not file.exists() or metrics.is_whole(file)
    except NnrunError:
        return False


def lost_best_step(folder: Path, summary: Summary) -> int | None:
    """The best step of a run that is over, where there is no checkpoint of it; None where there is one."""
    from nnrun.record import checkpoint

    best = summary.get("best")
    if best is None or best["step"] in checkpoint.steps(folder / "checkpoints"):
        return None
    return best["step"]


def damaged_checkpoints(folder: Path) -> list[int]:
    """The steps whose checkpoints are cut short, or have no manifest: seen from sizes, no arrays are read."""
    from nnrun.record import checkpoint

    place = folder / "checkpoints"
    return [
        step
        for step in checkpoint.steps(place)
        if not checkpoint.looks_whole(checkpoint.step_folder(place, step))
    ]
