"""Names and patterns of columns that an option lists: which columns they fit, and all that fit none."""

from __future__ import annotations

from collections.abc import Collection
from difflib import get_close_matches
from fnmatch import fnmatchcase

from nnrun.data._column import Table
from nnrun.data._faults import Faults
from nnrun.errors import DataError, one_line

__all__ = ["check_patterns", "fitting"]


def check_patterns(table: Table, patterns: Collection[str], option: str, among: Collection[str]) -> None:
    """Raises DataError with a line for each name or pattern that fits no column of these."""
    faults = Faults()
    for pattern in patterns:
        with faults.collected():
            _check_pattern(table, pattern, option, among)
    faults.refuse()


def _check_pattern(table: Table, pattern: str, option: str, among: Collection[str]) -> None:
    if pattern in table.columns or any(fnmatchcase(name, pattern) for name in among):
        return
    if any(character in pattern for character in "*?["):
        near = get_close_matches(pattern.strip("*?"), table.columns, n=3, cutoff=0.4)
        names = f"near are {', '.join(near)}" if near else f"there are {', '.join(table.columns)}"
        raise DataError(
            f"{table.place}:1: data.{option}: no column fits '{one_line(pattern, 40)}'; {one_line(names, 120)}"
        )
    table.column(pattern, option)


def fitting(table: Table, patterns: Collection[str], among: Collection[str]) -> dict[str, str]:
    """Column -> the first name or pattern that fits it, a name before a pattern."""
    fits: dict[str, str] = {}
    for name in among:
        exact = [pattern for pattern in patterns if pattern == name]
        loose = [
            pattern for pattern in patterns if pattern not in table.columns and fnmatchcase(name, pattern)
        ]
        if exact or loose:
            fits[name] = [*exact, *loose][0]
    return fits
