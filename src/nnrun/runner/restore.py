"""Which checkpoints a run, or all runs of a population together, continue from."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from nnrun.errors import RunError, Warn
from nnrun.record import checkpoint, run
from nnrun.record.checkpoint import Checkpoint, Forms
from nnrun.record.pack import OtherFormat
from nnrun.record.run import RunState

__all__ = ["ENDED", "Restored", "newest"]

ENDED = ("done", "diverged")


class Restored(NamedTuple):
    """What is on disk of one lane."""

    checkpoint: Checkpoint | None  # None: it begins at step 0
    ended: RunState | None  # its state.json if it ended before the others, or waits for them


def newest(folders: list[Path], expected: Forms, warn: Warn, until: int | None = None) -> list[Restored]:
    """The checkpoints to continue from: those that continue are at one common step, the newest that all have.

    expected  shape and dtype of every array of a lane's state
    until     the step to which the others are trained; a lane that is there already, or further, waits
    Raises RunError where checkpoints exist and none is good, or they belong to another model.
    """
    several = len(folders) > 1
    ended = [_ended(folder, warn, until) if several else None for folder in folders]
    going = [folder for folder, end in zip(folders, ended, strict=True) if not end]
    common = _common([folder / "checkpoints" for folder in going], warn)
    restored = []
    for folder, end in zip(folders, ended, strict=True):
        content = _latest(folder / "checkpoints", warn) if end else common.get(folder / "checkpoints")
        if content is not None:
            checkpoint.check_structure(
                content.state, expected, str(checkpoint.step_folder(folder / "checkpoints", content.step))
            )
        restored.append(Restored(content, end))
    return restored


def _ended(folder: Path, warn: Warn, until: int | None) -> RunState | None:
    """The state of a lane that is not trained with the others; None if it is."""
    state = run.read_state(folder)
    if state["status"] in ENDED:
        return state
    if until is None or max(checkpoint.steps(folder / "checkpoints"), default=0) < until:
        return None
    content = _latest(folder / "checkpoints", warn)
    if content is None or content.step < until:
        return None
    return {"status": "interrupted", "step": content.step}


def _latest(folder: Path, warn: Warn) -> Checkpoint | None:
    return checkpoint.load_latest(folder, warn) if folder.is_dir() else None


def _common(folders: list[Path], warn: Warn) -> dict[Path, Checkpoint]:
    """The checkpoints of the newest step at which every folder has a good one; {} if one has none at all."""
    if not folders:  # every run has ended; only the summary is missing
        return {}
    if len(folders) == 1:
        content = _latest(folders[0], warn)
        return {folders[0]: content} if content else {}
    steps = [set(checkpoint.steps(folder)) if folder.is_dir() else set() for folder in folders]
    if not all(steps):  # killed while the first checkpoints were written, or before
        return {}
    for step in sorted(set.intersection(*steps), reverse=True):
        try:
            return {folder: checkpoint.load(checkpoint.step_folder(folder, step)) for folder in folders}
        except OtherFormat:
            raise
        except RunError as error:
            warn(f"{error}; going back to the checkpoint before")
    raise RunError(f"{folders[0].parent.parent}: its runs have no good checkpoint of one common step")
