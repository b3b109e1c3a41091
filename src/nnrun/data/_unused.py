"""Columns of new inputs that a trained model has no use for, and which its run did not leave out on purpose."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

from nnrun.data._near import nearest
from nnrun.errors import Warn, one_line
from nnrun.preprocessing import Preprocessing

__all__ = ["KnownColumns", "expected_of", "warn_of_unused"]

_MUCH_ALIKE = 0.8  # of two names, as difflib has it: year and yaer are, size and price are not
_ABOUT_ROWS = ("weights", "split_by", "time")  # options that name a column


class KnownColumns(NamedTuple):
    """The columns that a run knows what to do with.

    features  what it predicts from
    targets   what it predicts
    beside    names and patterns of those that it left out, or had for something else
    """

    features: tuple[str, ...]
    targets: tuple[str, ...]
    beside: tuple[str, ...]

    def has(self, name: str) -> bool:
        """Whether a column of this name is one of them."""
        return (
            name in self.features
            or name in self.targets
            or any(name == pattern or fnmatchcase(name, pattern) for pattern in self.beside)
        )


def expected_of(block: Mapping[str, Any], fitted: Preprocessing) -> KnownColumns | None:
    """The columns that a run knows; None where any others are left out on purpose, or inputs have no names.

    block   name and options of the data block that it was trained with: `features` lists all that is wanted
    """
    if not fitted.columns or block.get("features") is not None:
        return None
    targets = fitted.targets or _texts(block.get("target"))
    about_rows = [name for option in _ABOUT_ROWS for name in _texts(block.get(option))]
    features = tuple(column.name for column in fitted.columns)
    return KnownColumns(features, targets, (*about_rows, *_texts(block.get("exclude"))))


def _texts(option: object) -> tuple[str, ...]:
    """The texts in an option; a loader of the user's own may mean anything by it."""
    values = option if isinstance(option, list | tuple) else [option]
    return tuple(value for value in values if isinstance(value, str))


def warn_of_unused(
    place: str,
    names: Iterable[str],
    expected: Sequence[KnownColumns | None],
    wanted: Collection[str],
    warn: Warn,
) -> None:
    """Warns in one line of the columns of new inputs that no model uses, and that none was told to leave out.

    expected   of each model; with None for one of them, that one leaves out the rest on purpose
    wanted     columns that are asked for beside the inputs
    """
    present = [*names]
    known = [columns for columns in expected if columns is not None]
    unused = [
        name
        for name in present
        if name not in wanted and known and not any(columns.has(name) for columns in known)
    ]
    if not unused:
        return
    shown = one_line(
        ", ".join(f"'{one_line(name, 40)}'{_like(name, present, known)}" for name in unused), 240
    )
    what = "a column" if len(unused) == 1 else f"{len(unused)} columns"
    warn(
        f"{place}: {what} that the run was trained without {'is' if len(unused) == 1 else 'are'} not used: {shown}"
    )


def _like(name: str, present: Collection[str], known: Sequence[KnownColumns]) -> str:
    """Which column of the run a name may stand for, in brackets; "" for none."""
    features = dict.fromkeys(feature for columns in known for feature in columns.features)
    targets = dict.fromkeys(target for columns in known for target in columns.targets)
    near = nearest(name, [*features, *targets], _MUCH_ALIKE)
    if near is None:
        return ""
    shown = one_line(near, 40)
    if near in present:
        return f" (beside '{shown}', which is used)" if near in features else f" (beside '{shown}')"
    return f" (did you mean '{shown}'?)"
