"""A run folder as plain data: what `nnrun show --json` prints."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NotRequired

from nnrun.record import columns
from nnrun.record.early_stop import StopEntry
from nnrun.record.provenance import Provenance
from nnrun.record.run import StateFields
from nnrun.record.summary import AboutData, BestStep, Division, Gaps, MemberSummary, Rising, Sections
from nnrun.report.content import read_content

__all__ = ["Description", "describe"]


class Description(StateFields, Rising, Gaps, AboutData):
    """A run or a group: where it is, what its summary says once it has one, and where it came from."""

    run_dir: str
    status: str
    steps: NotRequired[int]
    epochs: NotRequired[float]
    best: NotRequired[BestStep | None]
    rising: NotRequired[list[str]]
    bounds: NotRequired[dict[str, list[float | None]]]
    metrics: NotRequired[Sections]
    stopped_early: NotRequired[StopEntry | None]
    runs: NotRequired[list[MemberSummary]]  # of a group, as are the following
    mean: NotRequired[dict[str, dict[str, float]]]
    ci95: NotRequired[dict[str, dict[str, list[float] | None]]]
    folds: NotRequired[Division]
    members: NotRequired[list[str]]
    provenance: Provenance
    columns: NotRequired[list[dict[str, str]]]  # of a table
    notes: NotRequired[list[str]]
    checkpoints: NotRequired[list[int]]  # of a run: their steps


def describe(folder: Path) -> Description:
    """What `nnrun show` prints of a run or group, as plain data."""
    content = read_content(folder)
    known: dict[str, Any] = {**content.state, **content.summary, "status": content.status}
    description = Description(run_dir=str(folder), provenance=content.origin, **known)
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
