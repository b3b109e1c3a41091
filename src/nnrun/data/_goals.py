"""What is to be predicted from a table: a class, a number, several numbers or several labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from nnrun.data._column import Column, Table
from nnrun.data._target import classes_of, is_regression, refuse_odd
from nnrun.data._targets import check_marks, check_several, classes_of_labels, refuse_constant, targets_in

__all__ = ["Goals", "goals_of"]


class Goals(NamedTuple):
    """The targets of a table.

    names     of their columns
    classes   by label; () of numbers and of several labels
    pairs     the two classes of each of several labels
    """

    names: tuple[str, ...]
    classes: tuple[str, ...]
    pairs: tuple[tuple[str, str], ...]

    @property
    def several(self) -> tuple[str, ...]:
        """The names of several targets; () of one."""
        return self.names if len(self.names) > 1 else ()

    @property
    def by_target(self) -> Mapping[str, Sequence[str]]:
        """The classes of each target; () of a number."""
        return (
            dict(zip(self.names, self.pairs, strict=True))
            if self.pairs
            else dict.fromkeys(self.names, self.classes)
        )

    def values(self, table: Table) -> np.ndarray:
        """See `targets_in`."""
        return targets_in(_columns(table, self.names), self.classes, self.pairs)

    def refuse_constant(self, table: Table, values: np.ndarray) -> None:
        """Refuses one of several numbers that is the same in all rows."""
        if self.several and not self.pairs:
            refuse_constant(_columns(table, self.names), values)


def goals_of(table: Table, names: tuple[str, ...], task: str, classifies: bool | None, binary: bool) -> Goals:
    """The targets of these names.  Raises DataError.

    task, classifies, binary   what the spec says: see `source_of`
    """
    columns = _columns(table, names)
    pairs = classes_of_labels(columns, task) if binary else ()
    return Goals(names, () if binary else _classes(columns, task, classifies), pairs)


def _columns(table: Table, names: Sequence[str]) -> list[Column]:
    columns = [table.column(name, "target") for name in names]
    check_marks(columns)
    return columns


def _classes(columns: Sequence[Column], task: str, classifies: bool | None) -> tuple[str, ...]:
    """The names of the classes; () for a regression, which several targets are."""
    if len(columns) > 1:
        check_several(columns, task, classifies)
        return ()
    regression = task == "regression" or (task == "auto" and is_regression(columns[0], classifies))
    if task == "auto" and not regression:
        refuse_odd(columns[0])
    return () if regression else classes_of(columns[0])
