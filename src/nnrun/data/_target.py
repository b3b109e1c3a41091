"""The target of a table: numbers or classes, and its values."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal

import numpy as np

from nnrun.data._cells import odd_number
from nnrun.data._column import Column, canonical, number
from nnrun.data._encode import codes_of
from nnrun.data._faults import Faults
from nnrun.data._fit_columns import refuse_alike
from nnrun.data._spellings import groups_in_case, with_counts
from nnrun.errors import one_line

__all__ = ["classes_of", "is_regression", "labels_in", "refuse_odd"]

_MANY = 20  # distinct whole numbers in a target: up to this many are taken for classes
_AS_CLASS = ", or write data.task: classification if it is the name of a class"


def is_regression(goal: Column, classifies: bool | None) -> bool:
    """Whether the target's values are quantities rather than names of classes.

    classifies   what the loss of the spec says, where it was written
    """
    goal.check_filled(_AS_CLASS)
    if classifies is not None:
        return not classifies
    values = [goal.number(cell) for cell in goal.cells]
    distinct = len(set(goal.cells))
    if None in values:
        numeric = len(values) - values.count(None)
        if (
            numeric and distinct > _MANY
        ):  # hundreds of classes, most of them numbers: more likely a typing error
            goal.refuse_number(values.index(None))
        return False
    whole = goal.numbers() == np.floor(goal.numbers())
    return not whole.all() or distinct > _MANY


def refuse_odd(goal: Column) -> None:
    """Refuses a target of which a cell is a number or date that only people can read, or differs from another in case.

    Each would be a class of its own.  All of them are named, in a line for each sort.
    """
    problems = Faults()
    with problems.collected():
        _refuse_odd_numbers(goal)
    with problems.collected():
        _refuse_spellings(goal)
    problems.refuse()


def _refuse_odd_numbers(goal: Column) -> None:
    odd = {cell: remark for cell in dict.fromkeys(goal.cells) if (remark := _oddity(goal, cell))}
    if odd:
        first = next(iter(odd))
        row, rows = goal.cells.index(first), sum(cell in odd for cell in goal.cells) - 1
        more = f"; so {'are' if rows > 1 else 'is'} {rows} more of its cells" if rows else ""
        goal.refuse(row, f"{odd[first]}{_AS_CLASS}{more}")


def _oddity(goal: Column, cell: str) -> str | None:
    return odd_number(cell, goal.decimal) if goal.number(cell) is None else None


def _refuse_spellings(goal: Column) -> None:
    names = [name for name in dict.fromkeys(goal.cells) if goal.number(name) is None]
    groups = groups_in_case(names)
    if not groups:
        return
    first, second, *_ = groups[0]
    forms = f"differs from '{one_line(first, 40)}' only in upper and lower case; write one form"
    both = "both are classes"
    if len(groups) > 1 or len(groups[0]) > 2:
        forms += f" of {'each: ' * (len(groups) > 1)}{with_counts(groups, Counter(goal.cells))}"
        both = "they are different classes"
    goal.refuse(goal.cells.index(second), f"{forms}, or write data.task: classification if {both}")


def labels_in(goal: Column, classes: tuple[str, ...]) -> np.ndarray:
    """(n,) int32: the position of each cell's class; DataError for one that the training part lacks."""
    numeric = all(number(name) is not None for name in classes)
    return codes_of(_labels(goal, numeric), {name: code for code, name in enumerate(classes)}, goal)


def _labels(goal: Column, numeric: bool = True) -> list[str]:
    """The class of each row; numbers written differently (1, 1.0, 01) are one class.

    numeric   whether all classes may be numbers; of a part of a table whose classes are not, cells stay as they are
    """
    if "" in goal.cells:
        goal.check_filled()
    values = [value for value in map(goal.number, goal.cells) if value is not None]
    if not numeric or len(values) < len(goal.cells):
        return list(goal.cells)
    goal.numbers()  # NaN and infinity are not classes
    return [canonical(cell, value) for cell, value in zip(goal.cells, values, strict=True)]


def classes_of(goal: Column) -> tuple[str, ...]:
    """The names of the classes, sorted, as numbers if they all are."""
    names = set(_labels(goal))
    refuse_alike(goal, names)
    if all(number(name) is not None for name in names):
        return tuple(sorted(names, key=Decimal))
    return tuple(sorted(names))
