"""Several targets of a table: all of them numbers, and every fault of theirs at once."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

import numpy as np

from nnrun.data._column import Column, Table
from nnrun.data._target import is_regression, labels_in
from nnrun.errors import DataError, one_line

__all__ = ["as_targets", "check_names", "check_several", "refuse_constant", "targets_in"]

_REGRESSION = "write data.task: regression, or loss: squared_error"


def as_targets(target: str | Sequence[str]) -> tuple[str, ...]:
    """The names of the targets as the option of a loader says them."""
    return (target,) if isinstance(target, str) else tuple(target)


def check_names(table: Table, targets: Sequence[str], kinds: Mapping[str, Collection[str]]) -> None:
    """Raises DataError for a target that is no column, comes twice, or is listed among features.

    kinds   option -> the features that it lists
    """
    if not targets:
        raise DataError(f"{table.place}: data.target: the list is empty; write the column to predict")
    for target in targets:
        table.column(target, "target")
        shown = one_line(target, 40)
        if targets.count(target) > 1:
            raise DataError(f"{table.place}: data.target: '{shown}' is listed twice; write it once")
        for option, names in kinds.items():
            if target in names:
                raise DataError(
                    f"{table.place}: data.{option}: '{shown}' is a target, and no feature; leave it out of one"
                )


def check_several(goals: Sequence[Column], task: str, classifies: bool | None) -> None:
    """Raises DataError unless several targets are numbers.

    task, classifies   what the spec says: see `source_of`
    """
    place = goals[0].place
    if task == "classification" or (task == "auto" and classifies):
        says = "data.task is classification" if task == "classification" else "the loss is one of classes"
        raise DataError(
            f"{place}: data.target: several targets are numbers, and {says}; {_REGRESSION}, or name one target"
        )
    if task == "regression" or classifies is not None:
        return
    numeric = _of_each(goals, lambda goal: is_regression(goal, None))
    if not all(numeric):
        goal = goals[numeric.index(False)]
        raise DataError(
            f"{place}:1:{goal.position}: column '{one_line(goal.name, 40)}' may hold classes, and several targets are "
            f"numbers; {_REGRESSION} if they are quantities, or name one target"
        )


def targets_in(goals: Sequence[Column], classes: tuple[str, ...]) -> np.ndarray:
    """(n,) int32 labels or float64 numbers; of several targets (n, k) numbers.

    Raises DataError naming FILE:ROW:COLUMN, with a line for each target that is at fault.
    """
    if classes:
        return labels_in(goals[0], classes)
    numbers = _of_each(goals, Column.quantities)
    return numbers[0] if len(goals) == 1 else np.stack(numbers, axis=1)


def refuse_constant(goals: Sequence[Column], values: np.ndarray) -> None:
    """Raises DataError with a line for each of several targets (n, k) that has one value only."""
    same = np.flatnonzero((values == values[0]).all(0)).tolist()
    lines = [
        f"{goals[j].place}:{goals[j].lines[0]}:{goals[j].position}: column '{one_line(goals[j].name, 40)}' is a target "
        f"and {values[0, j]:.6g} in every row, from which nothing is learned; leave it out of data.target"
        for j in same
    ]
    if lines:
        raise DataError("\n".join(lines))


def _of_each(goals: Sequence[Column], read: Callable[[Column], object]) -> list:
    """read(goal) of each; what is wrong with several of them in one DataError."""
    values, problems = [], []
    for goal in goals:
        try:
            values.append(read(goal))
        except DataError as error:
            problems.append(str(error))
    if problems:
        raise DataError("\n".join(problems))
    return values
