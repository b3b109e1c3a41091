"""What the files in the folder of a run or group say, read together."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from nnrun.errors import RunError
from nnrun.record import checkpoint, provenance, run
from nnrun.record.provenance import Provenance
from nnrun.record.run import RunState
from nnrun.record.summary import Summary
from nnrun.report.summary import read_summary

__all__ = ["Content", "origin_of", "read_content"]


class Content(NamedTuple):
    """What there is to show of a run or group.

    status        as `run.status` has it: a run whose process has died is crashed
    members       the runs of a group
    checkpoints   steps that a run has checkpoints of
    """

    state: RunState
    status: str
    summary: Summary
    origin: Provenance
    members: list[Path]
    checkpoints: list[int]


def read_content(folder: Path) -> Content:
    """Reads the folder of a run or group.  Raises RunError where its state or its summary is damaged."""
    state, members = run.read_state(folder), run.members(folder)
    status, summary = run.status(folder), read_summary(folder)
    checkpoints = [] if members else checkpoint.steps(folder / "checkpoints")
    return Content(state, status, summary, origin_of(folder), members, checkpoints)


def origin_of(folder: Path) -> Provenance:
    """The run.json of a run folder, {} where it is missing or damaged."""
    try:
        return provenance.read(folder)
    except RunError:
        return {}
