"""Several targets of a table, all of them numbers or all of them labels, and every fault of theirs at once."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np

from nnrun.amounts import figure
from nnrun.data._column import Column, Table
from nnrun.data._faults import Faults, each_of
from nnrun.data._target import classes_of, is_regression, labels_in, refuse_odd
from nnrun.errors import DataError, one_line

__all__ = [
    "as_targets", "check_marks", "check_names", "check_several", "classes_of_labels", "refuse_constant", "targets_in",
]  # fmt: skip

_REMEDY = (
    "write loss: binary_cross_entropy if each is one of two classes, loss: squared_error (or data.task: regression) if "
    "they are quantities, or name one target"
)


def as_targets(target: str | Sequence[str]) -> tuple[str, ...]:
    """The names of the targets as the option of a loader says them."""
    return (target,) if isinstance(target, str) else tuple(target)


def check_names(table: Table, targets: Sequence[str], kinds: Mapping[str, Collection[str]]) -> None:
    """Raises DataError for a target that is no column, comes twice, or is listed among features.

    kinds   option -> the features that it lists
    """
    if not targets:
        raise DataError(f"{table.place}: data.target: the list is empty; write the column to predict")
    faults = Faults()
    for target in targets:
        shown = one_line(target, 40)
        with faults.collected():
            table.column(target, "target")
        if targets.count(target) > 1:
            faults.add(f"{table.place}: data.target: '{shown}' is listed twice; write it once")
        for option, names in kinds.items():
            if target in names:
                faults.add(
                    f"{table.place}: data.{option}: '{shown}' is a target, and no feature; leave it out of one"
                )
    faults.refuse()


def check_marks(goals: Sequence[Column]) -> None:
    """Raises DataError with a line for each target that has a cell which only data.missing_marks takes for missing."""
    each_of(goals, Column.check_marks)


def check_several(goals: Sequence[Column], task: str, classifies: bool | None) -> None:
    """Raises DataError unless several targets are numbers.

    task, classifies   what the spec says: see `source_of`
    """
    place = goals[0].place
    if task == "classification" or (task == "auto" and classifies):
        says = "data.task is classification" if task == "classification" else "the loss is one of classes"
        raise DataError(f"{place}: data.target: several targets are numbers or labels, and {says}; {_REMEDY}")
    if task == "regression" or classifies is not None:
        return
    numeric = each_of(goals, lambda goal: is_regression(goal, None))
    if not all(numeric):
        goal = goals[numeric.index(False)]
        raise DataError(
            f"{place}:1:{goal.position}: column '{one_line(goal.name, 40)}' may hold classes, and nothing says whether "
            f"several targets are numbers or labels; {_REMEDY}"
        )


def classes_of_labels(goals: Sequence[Column], task: str) -> tuple[tuple[str, str], ...]:
    """The two classes of each of several labels, sorted: the second is the one whose probability is predicted.

    task   what the spec says: see `source_of`
    Raises DataError with a line for each that has other than two, or where there is one label only.
    """
    place = goals[0].place
    if len(goals) == 1:
        raise DataError(
            f"{place}: data.target: binary_cross_entropy is for several labels, and there is one; write a list of "
            "columns, or loss: cross_entropy, which for two classes is the same"
        )
    if task == "regression":
        raise DataError(
            f"{place}: data.task: regression, and the loss is one of labels; leave the task out, or write loss: "
            "squared_error"
        )
    return tuple(each_of(goals, lambda goal: _two_classes(goal, task)))


def _two_classes(goal: Column, task: str) -> tuple[str, str]:
    goal.check_filled()
    if task == "auto":
        refuse_odd(goal)
    classes = classes_of(goal)
    if len(classes) != 2:
        shown = one_line(", ".join(classes), 60)
        raise DataError(
            f"{goal.place}:1:{goal.position}: column '{one_line(goal.name, 40)}' is a label of binary_cross_entropy, "
            f"and has {len(classes)} {'class' if len(classes) == 1 else 'classes'} ({shown}); needed: two, such as 0 "
            "and 1"
        )
    return classes[0], classes[1]


def targets_in(
    goals: Sequence[Column], classes: tuple[str, ...], label_classes: Sequence[tuple[str, str]] = ()
) -> np.ndarray:
    """(n,) int32 labels or float64 numbers; of several targets (n, k) numbers, of several labels 0.0 and 1.0.

    Raises DataError naming FILE:ROW:COLUMN, with a line for each target that is at fault.
    """
    if label_classes:
        pairs = dict(zip([goal.name for goal in goals], label_classes, strict=True))
        codes = each_of(goals, lambda goal: labels_in(goal, pairs[goal.name]))
        return np.stack(codes, axis=1).astype(np.float64)
    if classes:
        return labels_in(goals[0], classes)
    numbers = each_of(goals, Column.quantities)
    return numbers[0] if len(goals) == 1 else np.stack(numbers, axis=1)


def refuse_constant(goals: Sequence[Column], values: np.ndarray) -> None:
    """Raises DataError with a line for each of several targets (n, k) that has one value only."""
    same = np.flatnonzero((values == values[0]).all(0)).tolist()
    lines = [
        f"{goals[j].place}:{goals[j].lines[0]}:{goals[j].position}: column '{one_line(goals[j].name, 40)}' is a target "
        f"and {figure(values[0, j], 6)} in every row, from which nothing is learned; leave it out of data.target"
        for j in same
    ]
    if lines:
        raise DataError("\n".join(lines))
