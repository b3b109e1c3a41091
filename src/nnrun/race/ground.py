"""Where a race takes place: a surface of the catalogue, or a plane through the start and checkpoints of a run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from nnrun.errors import SpecError, one_line
from nnrun.race import entrants, plane
from nnrun.race.trajectory import RATES
from nnrun.runner import session
from nnrun.types import Surface

__all__ = ["Ground", "of_run", "of_surface"]


# The steps of a run are about 1 apart on its plane: smaller rates would not get anywhere.
_RATES = RATES[16::3]  # from 1e-3 to 10


class Ground(NamedTuple):
    """A surface, and how many rates and points of it are tried."""

    title: str
    surface: Surface
    marks: dict[str, tuple[float, float]]  # points of it, by name
    precision: str  # as train.precision
    rates: np.ndarray  # that are tried
    steps: int  # of each optimizer, unless told otherwise
    grid: int  # points of a contour map on each axis


def of_surface(text: str, folder: Path) -> Ground:
    """The ground of `beale`, or of a block with options.  Raises SpecError."""
    return Ground(text, entrants.surface(text, folder), {}, "float64", RATES, 300, 240)


def of_run(folder: Path, checkpoints: str | None, warn: Callable[[str], None]) -> Ground:
    """The plane of a run; a network takes long to evaluate, so fewer rates and points are tried.

    checkpoints   three steps as text, `0,200,400`; None: the start, the middle and the last
    Raises SpecError, RunError, DataError.
    """
    steps = plane.pick(folder, None if checkpoints is None else _steps(checkpoints))
    experiment = session.rebuild(folder, warn, ["train"]).experiment
    with session.precision(experiment.plan.precision):
        surface_plane = plane.plane(experiment, folder, steps)
    marks = {
        f"step {step}" if step else "start": (x, y)
        for step, (x, y) in zip(steps, surface_plane.points.tolist(), strict=True)
    }
    drawn = " and a direction drawn at random" if len(steps) == 2 else ""
    title = f"{folder.name}, steps {', '.join(map(str, steps))}{drawn}"
    return Ground(title, surface_plane.surface, marks, experiment.plan.precision, _RATES, 100, 33)


def _steps(text: str) -> list[int]:
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() for part in parts):
        raise SpecError(f"--checkpoints: got {one_line(text, 60)!r}; write three steps: 0,200,400")
    return [int(part) for part in parts]
