"""tracking.json: which trackers a run is sent to, and what each of them has already.

    {"trackers": {TEXT: {"id": ..., "step": 840, "ended": false, "problem": null}}}

TEXT is the tracker as it was asked for: mlflow, or {name: mlflow, uri: ...}.
"""

from __future__ import annotations

from pathlib import Path

from typing_extensions import TypedDict

from nnrun.record import run
from nnrun.record.names import TRACKING
from nnrun.storage import fsio

__all__ = ["Sent", "SentReport", "read", "write"]


class Sent(TypedDict):
    """What one tracker has of a run."""

    id: str | None  # of the record there; None: it has not begun
    step: int  # the last one that was sent
    ended: bool  # whether it knows that the run is over
    problem: str | None  # why it does not get more


class SentReport(TypedDict):
    """What `nnrun track --json` prints: name of a run -> tracker -> what it has."""

    run_dir: str
    runs: dict[str, dict[str, Sent]]


def read(folder: Path) -> dict[str, Sent]:
    """What each tracker has of the run in `folder`; {} where it is sent to none.  Raises RunError if it is damaged."""
    file = folder / TRACKING
    return run.read_json(file)["trackers"] if file.is_file() else {}


def write(folder: Path, sent: dict[str, Sent]) -> None:
    """Writes the file.  Raises MachineError."""
    fsio.write_json(folder / TRACKING, {"trackers": sent})
