"""The runs of a group: every seed or fold that was asked for, or none is taken."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nnrun.errors import RunError, one_line
from nnrun.record import run
from nnrun.record.names import RESOLVED
from nnrun.runner.status import group_of
from nnrun.spec import yaml12
from nnrun.storage import fsio

__all__ = ["fold_folders", "folds_of", "folds_of_partition", "is_fold", "members", "seeds_asked"]


def members(folder: Path) -> list[Path]:
    """The runs inside a group, in order; [] for a single run.

    Raises RunError with a line for each seed or fold of its spec that is missing: a mean without it would be another
    one.
    """
    asked = folds_of(folder) or group_of(folder, seeds_asked(folder)).members
    missing = [path for path in asked if not run.is_run(path)]
    if missing:
        remedy = "put it back, or name the others one by one"
        raise RunError(
            "\n".join(f"{one_line(path)}: this run of the group is missing; {remedy}" for path in missing)
        )
    return run.members(folder)


def folds_of(folder: Path) -> list[Path]:
    """The run folders of a cross-validation, in order, whether they are there or not; [] for another run."""
    train = _train_section(folder)
    try:
        if train["folds"] is None or train["fold"] is not None:
            return []
        return fold_folders(folder, int(train["folds"]) * int(train["repeats"]))
    except (KeyError, TypeError, ValueError):
        return []  # of an nnrun that had no folds


def is_fold(folder: Path) -> bool:
    """Whether a run is one fold of a cross-validation."""
    return _train_section(folder).get("fold") is not None


def fold_folders(folder: Path, count: int) -> list[Path]:
    """The run folders of as many folds, fold_1, fold_2, ..., in the folder of their group."""
    return [folder / f"fold_{number}" for number in range(1, count + 1)]


def seeds_asked(folder: Path) -> range:
    """The seeds that a run folder was made for; the folder of an ensemble has the spec of a single run."""
    train = _train_section(folder)
    try:
        return range(int(train["seed"]), int(train["seed"]) + int(train["seeds"]))
    except (KeyError, TypeError, ValueError):
        return range(1)


def folds_of_partition(folder: Path) -> int | None:
    """How many folds divide the examples once, by the spec of a run folder; None where it does not say."""
    folds = _train_section(folder).get("folds")
    return folds if isinstance(folds, int) and folds > 1 else None


def _train_section(folder: Path) -> dict[str, Any]:
    """The section `train` of the spec of a run folder; {} where it cannot be read."""
    place = folder / RESOLVED
    resolved: Any = yaml12.parse(fsio.read_file(place), str(place)).value if place.is_file() else None
    train = resolved.get("train") if isinstance(resolved, dict) else None
    return train if isinstance(train, dict) else {}
