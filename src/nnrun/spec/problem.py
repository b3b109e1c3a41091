"""A mistake in a spec, where it is, and how all mistakes of a document are gathered and reported."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from nnrun.errors import SpecError, one_line

__all__ = ["Path", "Place", "Problem", "Problems", "error_at", "place_of"]

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


class Problems:
    """The mistakes of a document: gathered while it is read, reported together.

    Who reads a block gets the collector of that block (`inside`), and adds what is wrong with it.

    places   where the values of the document were written; its reader and overrides add to them
    path     of the block in the document
    keys     of the block -> where in it they are written, for a block that is a translation of another one
    """

    def __init__(
        self, places: dict[Path, Place], path: Path = (), keys: Mapping[str, Path] | None = None
    ) -> None:
        self.places, self.path = places, path
        self._keys: Mapping[str, Path] = keys or {}
        self._problems: list[Problem] = []

    def __iter__(self) -> Iterator[Problem]:
        return iter(self._problems)

    def __len__(self) -> int:
        return len(self._problems)

    def inside(self, path: Path, keys: Mapping[str, Path] | None = None) -> Problems:
        """The same collector for the block at `path` of this one."""
        inner = Problems(self.places, self.path_of(path), keys)
        inner._problems = self._problems
        return inner

    def path_of(self, path: Path) -> Path:
        """Where in the document that stands which is at `path` of the block."""
        if path and path[0] in self._keys:
            path = (*self._keys[str(path[0])], *path[1:])
        return self.path + path

    def place_of(self, path: Path = ()) -> Place:
        """Where that was written which is at `path` of the block."""
        return place_of(self.path_of(path), self.places)

    def add(self, path: Path, message: str, place: Place | None = None) -> None:
        """Adds what is wrong at `path` of the block; `place` is given where the document's own does not serve."""
        self._problems.append(Problem(place or self.place_of(path), self.path_of(path), message))

    def extend(self, problems: Iterable[Problem]) -> None:
        """Adds the mistakes of another document, with the places that they have there."""
        self._problems.extend(problems)

    def refusal(self) -> SpecError:
        """The error that reports the problems in the order of the file, at most six lines.

        A value that could not be read is reported once: what it then lacks is not another mistake.  Arguments of the
        command line that are no value of the document are as many mistakes.
        """
        first_at: dict[tuple[Path, Place | None], Problem] = {}
        for problem in self:
            path = problem.path
            is_echo = path not in self.places and any(
                (path[:i], None) in first_at for i in range(1, len(path))
            )
            if not is_echo:
                first_at.setdefault((path, None if path else problem.place), problem)
        in_order = sorted(first_at.values(), key=lambda problem: (problem.place.line, problem.place.column))
        lines = list(map(str, in_order))
        if len(lines) > _MAX_LINES:
            hidden = len(lines) - (_MAX_LINES - 1)
            lines = [*lines[: _MAX_LINES - 1], f"... and {hidden} more"]
        return SpecError(*lines)

    def raise_if_any(self) -> None:
        """Raises the SpecError that reports the problems; nothing where there are none."""
        if self._problems:
            raise self.refusal()


def place_of(path: Path, places: Mapping[Path, Place]) -> Place:
    """The place of `path`, or of the nearest block around it that was written."""
    while path and path not in places:
        path = path[:-1]
    return places.get(path) or Place("the spec")


def error_at(path: Path, message: str, places: Mapping[Path, Place]) -> SpecError:
    """The error for a mistake that shows only when a document has been read, and its parts meet."""
    return SpecError(str(Problem(place_of(path, places), path, message)))
