"""timing.jsonl: when the evaluations of a run happened.  Clock times lie apart from the metrics, whose bytes repeat."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from pathlib import Path

from typing_extensions import TypedDict

from nnrun.record.names import TIMING
from nnrun.storage.append_file import AppendFile

__all__ = ["Timing", "TimingEntry"]


class TimingEntry(TypedDict):
    """A line of timing.jsonl."""

    step: int
    seconds: float  # since the process began to train
    time: str


class Timing:
    """The file, open for writing; its clock begins now."""

    def __init__(self, folder: Path) -> None:
        self._file = AppendFile(folder / TIMING)
        self._started = time.monotonic()

    def note(self, step: int) -> None:
        """Writes down that a step was evaluated just now."""
        entry: TimingEntry = {
            "step": step,
            "seconds": round(time.monotonic() - self._started, 4),
            "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
        }
        self._file.write(json.dumps(entry).encode() + b"\n")

    def close(self) -> None:
        """Syncs and closes the file; a second call does nothing."""
        self._file.close()
