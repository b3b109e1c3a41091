"""A mistake in a spec, where it is, and how a list of them is reported."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from nnrun.errors import SpecError, one_line

__all__ = ["Path", "Place", "Problem", "place_of", "refusal"]

Path = tuple[str | int, ...]

_MAX_LINES = 6


class Place(NamedTuple):
    """Where a value was written: a line and column (from 1) of a file, or a command-line argument."""

    source: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        name = one_line(self.source, 120)
        return f"{name}:{self.line}:{self.column}" if self.line else f"argument {name}"


class Problem(NamedTuple):
    """One mistake: `place: key.path: what is wrong; what to write instead`."""

    place: Place
    path: Path
    message: str

    def __str__(self) -> str:
        key = one_line(".".join(map(str, self.path)), 120)
        return f"{self.place}: {key + ': ' if key else ''}{self.message}"


def place_of(path: Path, places: Mapping[Path, Place]) -> Place:
    """The place of `path`, or of the nearest block around it that was written."""
    while path and path not in places:
        path = path[:-1]
    return places.get(path) or Place("the spec")


def refusal(problems: Iterable[Problem], places: Mapping[Path, Place]) -> SpecError:
    """The error that reports the problems in the order of the file, at most six lines.

    A value that could not be read is reported once: what it then lacks is not another mistake.
    """
    first_at: dict[Path, Problem] = {}
    for problem in problems:
        path = problem.path
        is_echo = path not in places and any(path[:i] in first_at for i in range(1, len(path)))
        if not is_echo:
            first_at.setdefault(path, problem)
    lines = [
        str(problem)
        for problem in sorted(
            first_at.values(), key=lambda problem: (problem.place.line, problem.place.column)
        )
    ]
    if len(lines) > _MAX_LINES:
        hidden = len(lines) - (_MAX_LINES - 1)
        lines = [*lines[: _MAX_LINES - 1], f"... and {hidden} more"]
    return SpecError(*lines)
