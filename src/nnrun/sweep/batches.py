"""Carrying out batches one after another: what is done is skipped, what does not fit is cut in half.

A Trainer trains one batch or several side by side and reports how far each is.  What it leaves behind is in the run
folders; this module knows nothing else of it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

from typing_extensions import TypedDict

from nnrun.errors import Interrupted, MachineError, NnrunError, one_line
from nnrun.record import run
from nnrun.storage import fsio
from nnrun.sweep.engine import Engine, RunBatch, many_files
from nnrun.sweep.moment import ChangedError

__all__ = [
    "CutMarker",
    "DoneMarker",
    "Event",
    "InProcess",
    "Trainer",
    "carry_out",
    "is_done",
    "mark",
    "parts",
    "seconds_of",
    "unmark",
]


class DoneMarker(TypedDict):
    """The content of batches/NAME.done.json: the batch NAME was carried out."""

    seconds: float


class CutMarker(TypedDict):
    """The content of batches/NAME.cut.json: the batch NAME was cut in half."""

    reason: str


class Event(NamedTuple):
    """How far a batch is."""

    batch: RunBatch
    step: int
    phase: str  # compiling, ready, training, testing; done, failed
    error: NnrunError | None = None  # why it failed


class Trainer(Protocol):
    """Trains batches; the news of one end with done or failed.  Raises Interrupted."""

    def train(self, root: Path, batches: Sequence[RunBatch]) -> Iterator[Event]: ...


class InProcess:
    """Trains batches in this process, one after another."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def train(self, root: Path, batches: Sequence[RunBatch]) -> Iterator[Event]:
        """The news of every batch."""
        with many_files():
            for batch in batches:
                yield from self._one(root, batch)

    def _one(self, root: Path, batch: RunBatch) -> Iterator[Event]:
        try:
            for progress in self.engine.train(root, batch):
                yield Event(batch, progress.step, progress.phase)
        except Interrupted:
            raise
        except NnrunError as error:
            yield Event(batch, 0, "failed", error)
        except Exception as error:  # of the user's own code, or a bug: the other trials need not share it
            yield Event(batch, 0, "failed", NnrunError(f"{type(error).__name__}: {one_line(error)}"))
        else:
            yield Event(batch, 0, "done")


def carry_out(root: Path, batches: Sequence[RunBatch], trainer: Trainer) -> Iterator[Event]:
    """Trains what is not done yet; a batch that fails is cut in half until the run that is to blame stands alone.

    Such a run is marked as failed, and its batch counts as done.  Raises Interrupted, and MachineError where the
    machine, not a run, is to blame.
    """
    left = [part for batch in batches for part in _undone(root, batch)]
    started: dict[str, float] = {}
    while left:
        again: list[RunBatch] = []
        for event in trainer.train(root, left):
            started.setdefault(event.batch.name, time.monotonic())
            if event.phase == "done":
                mark(root, event.batch, time.monotonic() - started[event.batch.name])
            elif event.phase == "failed":
                again += _halves(root, event)
            yield event
        left = [part for batch in again for part in _undone(root, batch)]


def _halves(root: Path, event: Event) -> list[RunBatch]:
    """What to train in place of a batch that failed; a run that failed alone is marked so."""
    batch, error = event.batch, event.error
    if isinstance(error, ChangedError | MachineError) and not _out_of_memory(error):
        raise error  # an edited module, or a full disk, is no fault of a run
    if len(batch.runs) > 1:
        fsio.write_json(_cut_marker(root, batch.name), CutMarker(reason=str(error)))
        return _cut(batch)
    run.write_state(root / batch.runs[0], "failed", reason=str(error))
    mark(root, batch, 0.0)
    return []


def _cut(batch: RunBatch) -> list[RunBatch]:
    """A batch in two."""
    middle = (len(batch.runs) + 1) // 2
    lanes = -(-batch.lanes * middle // len(batch.runs))
    return [
        batch._replace(name=f"{batch.name}{side}", runs=runs, lanes=lanes)
        for side, runs in (("a", batch.runs[:middle]), ("b", batch.runs[middle:]))
    ]


def _undone(root: Path, batch: RunBatch) -> list[RunBatch]:
    """What is left of a batch: itself, or parts of it where it was cut before the sweep was killed."""
    return [part for part in parts(root, batch) if not is_done(root, part)]


def parts(root: Path, batch: RunBatch) -> list[RunBatch]:
    """A batch, or the parts that it was cut into."""
    if not is_done(root, batch) and _cut_marker(root, batch.name).is_file():
        return [part for half in _cut(batch) for part in parts(root, half)]
    return [batch]


def _out_of_memory(error: NnrunError) -> bool:
    return isinstance(error, MachineError) and "memory" in str(error)


def is_done(root: Path, batch: RunBatch) -> bool:
    """Whether a batch was carried out."""
    return _marker(root, batch.name).is_file()


def seconds_of(root: Path, batch: RunBatch, place: str) -> float:
    """The share that a run has in the time of its batch, or of the part that it was in where that was cut."""
    if place not in batch.runs:
        return 0.0
    file = _marker(root, batch.name)
    if file.is_file():
        return float(run.read_json(file)["seconds"]) / len(batch.runs)
    if _cut_marker(root, batch.name).is_file():
        return sum(seconds_of(root, half, place) for half in _cut(batch))
    return 0.0


def mark(root: Path, batch: RunBatch, seconds: float) -> None:
    """Says that a batch was carried out, and how long that took."""
    fsio.write_json(_marker(root, batch.name), DoneMarker(seconds=round(seconds, 3)))


def unmark(root: Path, batch: RunBatch) -> None:
    """Has a batch carried out again."""
    fsio.remove_file(_marker(root, batch.name))


def _marker(root: Path, name: str) -> Path:
    return root / "batches" / f"{name}.done.json"


def _cut_marker(root: Path, name: str) -> Path:
    return root / "batches" / f"{name}.cut.json"
