"""What a run begins with from another run: arrays, kept in the run's own folder, and where they come from.

weights_from/    the arrays in the form of a checkpoint, so that the run stands for itself
run.json         `weights_from`: from which run and step, and what was taken
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, NotRequired

import numpy as np
from typing_extensions import TypedDict

from nnrun.errors import RunError, one_line
from nnrun.record import checkpoint, run
from nnrun.record.checkpoint import Progress
from nnrun.record.names import PROVENANCE
from nnrun.record.pack import pack
from nnrun.storage import fsio

__all__ = [
    "Beginning", "WeightsFrom", "begins_with_weights", "copy_arrays", "in_words", "lineage", "of_group", "read_arrays",
    "setting", "write_arrays",
]  # fmt: skip

_FOLDER = "weights_from"
_NO_PROGRESS: Progress = {
    "best": None,
    "improved": None,
    "best_metrics": {},
    "latest": {},
    "regular": [],
    "complete": False,
}


class WeightsFrom(TypedDict):
    """Where the weights of a run come from."""

    run: str  # the absolute folder; of a group whose seeds have each begun with their own, that of the other group
    step: int | None  # None: of such a group
    average: str | None  # the name of the average that they are
    sha256: str | None  # of the arrays' file that they were read from; None: of such a group
    only: list[str]  # patterns of what was taken; []: all
    optimizer_state: str  # keep or fresh
    before: NotRequired[WeightsFrom]  # where that run's weights came from


class Beginning(NamedTuple):
    """What one seed begins with."""

    origin: WeightsFrom
    arrays: dict[str, np.ndarray]  # path -> array, as in a checkpoint


def of_group(beginnings: Sequence[Beginning]) -> WeightsFrom:
    """Where the weights of a group come from."""
    origin = beginnings[0].origin
    if all(beginning.origin == origin for beginning in beginnings):
        return origin
    return {**origin, "run": str(Path(origin["run"]).parent), "step": None, "sha256": None}


def write_arrays(folder: Path, beginning: Beginning) -> None:
    """Writes into a run folder what the run begins with.

    Raises DivergedError if an array holds NaN or infinity, MachineError.
    """
    files = pack(beginning.origin["step"] or 0, beginning.arrays, _NO_PROGRESS, 0)
    fsio.write_folder(folder / _FOLDER, files)


def copy_arrays(folder: Path, target: Path) -> None:
    """Lets the run in `target` begin with what that in `folder` begins with, if with anything.  Raises MachineError."""
    if begins_with_weights(folder):
        files = {file.name: fsio.read_file(file) for file in sorted((folder / _FOLDER).iterdir())}
        fsio.write_folder(target / _FOLDER, files)


def read_arrays(folder: Path) -> dict[str, np.ndarray]:
    """What the run in `folder` begins with in place of fresh values, {} if it begins afresh.

    Raises RunError if it is missing or damaged.
    """
    place = folder / _FOLDER
    if begins_with_weights(folder):
        return checkpoint.load(place).arrays
    file = folder / PROVENANCE
    if file.is_file() and run.read_json(file).get("weights_from"):
        raise RunError(f"{one_line(place)}: missing; restore it, or train again with --from")
    return {}


def setting(origin: WeightsFrom) -> str:
    """Where weights come from as a setting of a comparison: equal texts mean the same weights."""
    sha256 = origin["sha256"]
    return in_words(origin) + (f" [{sha256[:8]}]" if sha256 else "")


def lineage(origin: WeightsFrom | None) -> Iterator[WeightsFrom]:
    """Where weights come from, where those came from, and so on."""
    while origin:
        yield origin
        origin = origin.get("before")


def begins_with_weights(folder: Path) -> bool:
    """Whether the run in `folder` has begun with weights of another one."""
    return (folder / _FOLDER).is_dir()


def in_words(origin: WeightsFrom) -> str:
    """`RUN step 840 (ema), only hidden_*`: what was taken."""
    step = " each seed from its own" if origin["step"] is None else f" step {origin['step']}"
    average = f" ({origin['average']})" if origin["average"] else ""
    only = f", only {', '.join(origin['only'])}" if origin["only"] else ""
    state = ", with the optimizer's state" if origin["optimizer_state"] == "keep" else ""
    return one_line(f"{origin['run']}{step}{average}{only}{state}")
