"""Files and folders of an image folder that are left out, and how many."""

from __future__ import annotations

import os
from collections.abc import Sequence
from fnmatch import fnmatchcase
from itertools import islice
from pathlib import Path

from nnrun.data._near import nearest
from nnrun.errors import DataError, one_line

__all__ = ["Exclusion"]

_LOOKED_AT = 5000  # names, for one that a pattern may mean


class Exclusion:
    """Patterns, and what they have left out so far.

    A pattern fits a file or a folder by the end of its path: `*.gif`, `thumbs`, `cat/old`.  A folder is left out with
    all that is in it, and `thumbs/*` means the folder `thumbs`.
    """

    def __init__(self, patterns: Sequence[str] = ()) -> None:
        self.patterns = tuple(patterns)
        self._files: dict[Path, tuple[str, int]] = {}  # what was left out: the pattern, and how many files

    def leaves_out(self, folder: Path, path: str) -> bool:
        """Whether a pattern fits the file or folder at `path` in `folder`; it is counted then."""
        pattern = next((pattern for pattern in self.patterns if _fits(path, pattern)), None)
        if pattern is None:
            return False
        place = folder / path
        if place not in self._files:
            self._files[place] = pattern, _files_in(place)
        return True

    @property
    def line(self) -> str:
        """How many files were left out by which pattern, "" where there are none."""
        counts = dict.fromkeys(self.patterns, 0)
        for pattern, count in self._files.values():
            counts[pattern] += count
        if not self._files:
            return ""
        total = sum(counts.values())
        shown = ", ".join(f"{one_line(pattern, 40)}: {count}" for pattern, count in counts.items() if count)
        return f"left out by data.exclude: {total} file{'s' * (total != 1)} ({shown})"

    def check_used(self, folder: Path) -> None:
        """Raises DataError with a line for each pattern that fits nothing, and the name that may be meant."""
        used = {pattern for pattern, _ in self._files.values()}
        lines = []
        for pattern in self.patterns:
            if pattern not in used:
                near = nearest(pattern.strip("*?/").rpartition("/")[2], _names_in(folder))
                hint = f"did you mean '{one_line(near, 40)}'?" if near else "correct it, or leave it out"
                lines.append(
                    f"{one_line(folder)}: data.exclude: no file or folder fits '{one_line(pattern, 40)}' (that another "
                    f"pattern does not fit); {hint}"
                )
        if lines:
            raise DataError("\n".join(lines))


def _fits(path: str, pattern: str) -> bool:
    shortened = pattern.rstrip("/").removesuffix("/**").removesuffix("/*")
    return fnmatchcase(f"/{path}", f"*/{shortened}")


def _names_in(folder: Path) -> list[str]:
    """The names of folders and files below a folder; of very many the first."""
    names = (name for _, folders, files in os.walk(folder) for name in (*folders, *files))
    return list(dict.fromkeys(islice(names, _LOOKED_AT)))


def _files_in(place: Path) -> int:
    """1 of a file, of a folder the number of all files below it."""
    if place.is_symlink() or not place.is_dir():
        return 1
    return sum(len(files) for _, _, files in os.walk(place))
