"""The runs of a group: every seed that was trained, or none is taken."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nnrun.errors import RunError, one_line
from nnrun.record import run
from nnrun.runner.status import group_of
from nnrun.spec import yaml12
from nnrun.storage import fsio

__all__ = ["members", "seeds_asked"]


def members(folder: Path) -> list[Path]:
    """The runs inside a group, in order; [] for a single run.

    Raises RunError with a line for each seed of its spec that is missing: a mean without it would be another one.
    """
    missing = [path for path in group_of(folder, seeds_asked(folder)).members if not run.is_run(path)]
    if missing:
        remedy = "put it back, or name the other seeds one by one"
        raise RunError(
            "\n".join(f"{one_line(path)}: this run of the group is missing; {remedy}" for path in missing)
        )
    return run.members(folder)


def seeds_asked(folder: Path) -> range:
    """The seeds that a run folder was made for; the folder of an ensemble has the spec of a single run."""
    place = folder / "resolved.yaml"
    if not place.is_file():
        return range(1)
    resolved: Any = yaml12.parse(fsio.read_file(place), str(place)).value
    try:
        train = resolved["train"]
        return range(int(train["seed"]), int(train["seed"]) + int(train["seeds"]))
    except (KeyError, TypeError, ValueError):
        return range(1)
