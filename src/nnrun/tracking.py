"""What a tracker is: something outside that keeps a copy of what runs log, such as an MLflow server."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

__all__ = ["Record", "Row", "Session", "Tracker"]

Row = tuple[int, Mapping[str, float]]  # a step, and what was logged there


class Record(NamedTuple):
    """A run as it is told to a tracker.

    name      of its folder
    group     the name of the group that it is a seed or a fold of; "" where it is alone
    settings  key of the spec -> text, number, truth value or list
    about     command, versions and device, in words
    """

    name: str
    group: str
    settings: Mapping[str, object]
    about: Mapping[str, str]


class Session(NamedTuple):
    """One run that is being recorded.

    id    what finds the same record again
    log   (rows of step and metrics) -> None, in the order of steps; values that are not finite are among them
    file  (a file, its name there) -> None
    end   whether the run is over and good: "done", or "diverged", "failed", "interrupted"
    """

    id: str
    log: Callable[[Sequence[Row]], None]
    file: Callable[[Path, str], None]
    end: Callable[[str], None]


class Tracker(NamedTuple):
    """What keeps records.

    begin   (record, id of before or None, folder of the run) -> Session, which continues the record of that id
    """

    begin: Callable[[Record, str | None, Path], Session]
