"""A run that is to be trained again: a new folder with what it began with, and what differs in the end."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from typing_extensions import TypedDict

from nnrun.errors import RunError, counted, one_line
from nnrun.record import checkpoint, columns, metrics, preprocessing, run, weights_from
from nnrun.record.names import ENSEMBLE, METRICS, PROVENANCE, RESOLVED, SPEC
from nnrun.runner.group import members
from nnrun.runner.status import is_over
from nnrun.storage import fsio

__all__ = ["Reproduction", "ReproductionReport", "begin_again", "compare", "refuse_unfinished"]

_FILES = (SPEC, RESOLVED, PROVENANCE, preprocessing.PREPROCESSING, columns.COLUMNS)


class ReproductionReport(TypedDict):
    """Reproduction for programs, and the folder of the second run."""

    run_dir: str
    same: bool
    runs: int
    lines: int
    arrays: int
    differences: list[str]


class Reproduction(NamedTuple):
    """What a run that was trained again has in common with the first.

    runs, lines, arrays   how many were compared: runs, lines of metrics, arrays of the last checkpoints
    differences           a line each, the first difference of each kind; []: all the same, bit for bit
    """

    runs: int
    lines: int
    arrays: int
    differences: list[str]


def refuse_unfinished(folder: Path) -> None:
    """Raises RunError where the run, or one of a group, has not come to its end or is missing, or it is an ensemble."""
    if (folder / ENSEMBLE).is_file():
        raise RunError(
            f"{one_line(folder)}: is an ensemble; reproduce its members, and make it of them: nnrun ensemble"
        )
    waiting = [path for path in [folder, *members(folder)] if not is_over(path)]
    if waiting:
        raise RunError(
            f"{one_line(waiting[0])}: is {run.status(waiting[0])}, so there is no result to reproduce; "
            f"nnrun resume {one_line(folder)} continues it"
        )


def begin_again(folder: Path, target: Path) -> None:
    """Writes into an empty folder what a run or group began with: spec, record of the data, weights of another run.

    Raises RunError, MachineError.
    """
    for place, copy in _pairs(folder, target):
        if place != folder:
            fsio.make_folder(copy)
        for name in _FILES:
            if (place / name).is_file():
                fsio.write_file(copy / name, fsio.read_file(place / name))
        weights_from.copy_arrays(place, copy)
        run.write_state(copy, "created")


def _pairs(folder: Path, target: Path) -> Iterator[tuple[Path, Path]]:
    """Each run of a group, then the group, with its copy."""
    for member in run.members(folder):
        yield member, target / member.relative_to(folder)
    yield folder, target


def compare(folder: Path, target: Path) -> Reproduction:
    """Compares what two runs, or two groups, left behind.  Raises RunError where something of the first is damaged."""
    differences: list[str] = []
    runs = lines = arrays = 0
    for place, copy in _pairs(folder, target):
        if place == folder and run.members(folder):
            continue
        runs += 1
        prefix = f"{place.name}: " if place != folder else ""
        count, of_metrics = _metrics(place / METRICS, copy / METRICS)
        size, of_arrays = _arrays(place / "checkpoints", copy / "checkpoints")
        lines, arrays = lines + count, arrays + size
        differences += [prefix + line for line in [*of_metrics, *of_arrays]]
    return Reproduction(runs, lines, arrays, differences)


def _metrics(file: Path, copy: Path) -> tuple[int, list[str]]:
    """How many lines the first has, and what differs."""
    before, after = (metrics.read(path) for path in (file, copy))
    if fsio.read_file(file) == fsio.read_file(copy):
        return len(before), []
    differences: list[str] = []
    for old, new in zip(before, after, strict=False):
        if json.dumps(old) != json.dumps(new):
            names = [name for name in {**old, **new} if repr(old.get(name)) != repr(new.get(name))]
            name = names[0]
            differences.append(
                f"step {old['step']}: {name} was {_text(old.get(name))}, is {_text(new.get(name))}"
            )
            break
    if len(before) != len(after):
        differences.append(f"it has logged {counted(len(after), 'line')}, the first time {len(before)}")
    before_columns, after_columns = metrics.columns(before), metrics.columns(after)
    largest = {
        name: _relative(before_columns[name][1], after_columns[name][1])
        for name in before_columns.keys() & after_columns.keys()
        if len(before_columns[name][1]) == len(after_columns[name][1])
    }
    name = max(sorted(largest), key=lambda name: largest[name], default="")
    if differences and math.isfinite(largest.get(name, math.inf)):
        differences.append(
            f"the largest difference of a metric is {largest[name]:.2g} of its largest value, in {name}"
        )
    return len(before), differences


def _text(value: float | None) -> str:
    return "nothing" if value is None else repr(value)


def _arrays(place: Path, copy: Path) -> tuple[int, list[str]]:
    """How many arrays the last checkpoint has, and what differs."""
    steps, again = checkpoint.steps(place), checkpoint.steps(copy)
    if not steps:
        return 0, []
    if steps[-1] not in again:
        return 0, [f"it ended at step {again[-1] if again else 0}, the first time at step {steps[-1]}"]
    old, new = (checkpoint.load(checkpoint.step_folder(folder, steps[-1])).arrays for folder in (place, copy))
    unequal = [name for name in sorted(old) if name not in new or old[name].tobytes() != new[name].tobytes()]
    if not unequal:
        return len(old), []
    size = max(_relative(old[name], new[name]) for name in unequal if name in new)
    return len(old), [
        f"{len(unequal)} of {len(old)} arrays of the checkpoint of step {steps[-1]} differ, by at most {size:.2g} of "
        f"their largest value: {', '.join(unequal[:3])}{', ...' if len(unequal) > 3 else ''}"
    ]


def _relative(old: np.ndarray, new: np.ndarray) -> float:
    """The largest difference, against the largest value of the first; infinite where one of two is no number."""
    old, new = old.astype(np.float64), new.astype(np.float64)
    same = (old == new) | (np.isnan(old) & np.isnan(new))
    if same.all():
        return 0.0
    scale = float(np.abs(old[np.isfinite(old)]).max(initial=0.0))
    with np.errstate(invalid="ignore"):
        size = float(np.nan_to_num(np.abs(np.where(same, 0.0, new - old)), nan=math.inf).max())
    return size / scale if scale else size
