"""The columns of a table as lines: those that are alike share one."""

from __future__ import annotations

from collections.abc import Sequence

from nnrun.errors import one_line
from nnrun.preprocessing import About

__all__ = ["COLUMN_INDENT", "column_lines"]

_ROLES = ("target", "feature")  # first; others follow in the order of the table
_NAMES = 80  # characters of names in a line
_WIDTH = 11  # of a role or a kind
COLUMN_INDENT = 2 * _WIDTH  # characters before the names in a line


def column_lines(about: Sequence[About]) -> list[str]:
    """Role, kind, names and what becomes of the columns; [] where there are none."""
    groups: dict[tuple[str, ...], list[str]] = {}
    for name, role, kind, why, becomes, note in sorted(about, key=_place):
        shown = "; ".join(filter(None, [becomes or why, note]))
        groups.setdefault((role, kind, shown), []).append(name)
    return [_line(role, kind, names, shown) for (role, kind, shown), names in groups.items()]


def _place(column: About) -> int:
    return _ROLES.index(column.role) if column.role in _ROLES else len(_ROLES)


def _line(role: str, kind: str, names: Sequence[str], shown: str) -> str:
    text = one_line(", ".join(names), _NAMES)
    count = f" ({len(names)})" if len(names) > 1 else ""
    each = " each" if len(names) > 1 and shown == "1 input" else ""
    return f"{role:{_WIDTH}}{kind:{_WIDTH}}{text}{count}: {one_line(shown, 240)}{each}"
