"""Tables in CSV files."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Literal

import numpy as np

from nnrun.data._cells import alike, odd_number, oddity
from nnrun.data._check import check
from nnrun.data._table import Column, Table, number, read_table
from nnrun.errors import DataError, one_line
from nnrun.options import FilePath, Standardize
from nnrun.preprocessing import Column as Feature
from nnrun.types import Examples, Source

__all__ = ["csv", "features_of"]

_MANY = 20  # distinct whole numbers in a target: up to this many are taken for classes
_MAX_CATEGORIES = 1000
_AS_CLASS = ", or write data.task: classification if it is the name of a class"
_WHOLE = re.compile(r"[+-]?[0-9]+")


def csv(
    path: FilePath,
    target: str,
    features: list[str] | None = None,
    categorical: list[str] | None = None,
    task: Literal["auto", "classification", "regression"] = "auto",
    delimiter: Literal[",", ";", "\t", "|", " "] = ",",
    test_path: FilePath | None = None,
    standardize: Standardize = "feature",
    classifies: bool | None = None,
) -> Source:
    """A table in a CSV file with a header: any columns as inputs, one as the target.

    path         UTF-8, at most 256 MiB, no empty cells in the columns used
    target       the column to predict
    features     the columns to predict it from; default: all others
    categorical  features that are names, not numbers: one input of 0 or 1 for each name, names sorted
    task         "auto": as the loss of the spec says, if it was written; else a target of numbers, with fractions or
                 more than 20 different ones, is regression.  "classification" takes every cell as a name
    delimiter    what separates the cells of a row
    test_path    a table with the test part and the same columns; default: a test part is cut from `path`
    standardize  "feature": each input its own mean and deviation
    classifies   whether the loss that the spec names wants labels; nnrun fills it in

    Cells that are empty or say NA, null, ?, missing and the like are refused.
    Class names are sorted, as numbers if they all are.  Raises DataError naming FILE:ROW:COLUMN.
    """
    table = read_table(path, delimiter)
    names = _features(table, target, features, categorical or [])
    goal = table.column(target, "target")
    regression = task == "regression" or (task == "auto" and _is_regression(goal, classifies))
    if task == "auto" and not regression:
        _refuse_odd(goal)
    classes = () if regression else _classes(goal)
    groups = {name: _categories(table.columns[name]) for name in categorical or []}
    columns = tuple(Feature(name, groups.get(name)) for name in names)

    def examples(part: Table) -> Examples:
        y = part.column(target, "target")
        x = features_of(part, columns)
        return Examples(x, y.quantities() if regression else _codes(_labels(y), classes, y))

    train = examples(table)
    test = None if test_path is None else examples(read_table(test_path, delimiter))
    return check(
        Source(train, test, classes, standardize, columns),
        path if test_path is None else f"{path} with {test_path}",
    )


def features_of(part: Table, columns: Sequence[Feature]) -> np.ndarray:
    """(n, inputs) float64: the features of a table.  Raises DataError naming FILE:ROW:COLUMN."""
    inputs = []
    for feature in columns:
        column = part.column(feature.name, "features")
        known = feature.categories
        inputs.append(column.quantities()[:, None] if known is None else _one_hot(column, known))
    return np.hstack(inputs)


def _features(table: Table, target: str, features: list[str] | None, categorical: list[str]) -> list[str]:
    """The names of the input columns, in order; DataError for one that is missing, double or the target."""
    table.column(target, "target")
    names = [name for name in table.columns if name != target] if features is None else features
    for name in names:
        table.column(name, "features")
        if features is None and name.startswith("Unnamed: "):
            raise DataError(
                f"{table.place}:1:{table.columns[name].position}: column '{one_line(name, 40)}' looks like the row "
                "numbers that pandas writes; remove it (to_csv(..., index=False)), or list data.features"
            )
    for name in categorical:
        table.column(name, "categorical")
        if name not in names:
            raise DataError(
                f"{table.place}: data.categorical: '{one_line(name, 40)}' is not one of the features"
            )
    if target in names or len(set(names)) < len(names) or not names:
        raise DataError(
            f"{table.place}: data.features: needed: at least one column, each once, without the target "
            f"'{one_line(target, 40)}'"
        )
    return names


def _is_regression(goal: Column, classifies: bool | None) -> bool:
    """Whether the target's values are quantities rather than names of classes.

    classifies   what the loss of the spec says, where it was written
    """
    goal.check_filled(_AS_CLASS)
    if classifies is not None:
        return not classifies
    values = [number(cell) for cell in goal.cells]
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


def _refuse_odd(goal: Column) -> None:
    """Refuses a target of which a cell is a number or date that only people can read, or differs from another in case.

    Each would be a class of its own.
    """
    for row, cell in enumerate(goal.cells):
        if number(cell) is None and (remark := odd_number(cell)):
            goal.refuse(row, f"{remark}{_AS_CLASS}")
    by_lower: dict[str, str] = {}
    for row, cell in enumerate(goal.cells):
        first = by_lower.setdefault(cell.lower(), cell)
        if first != cell and len(cell) > 1 and number(cell) is None:  # A and a may be two alleles
            text = f"differs from '{one_line(first, 40)}' only in upper and lower case; write one form"
            goal.refuse(row, f"{text}, or write data.task: classification if both are classes")


def _labels(goal: Column) -> list[str]:
    """The class of each row; numbers written differently (1, 1.0, 01) are one class."""
    if "" in goal.cells:
        goal.check_filled()
    values = [value for value in map(number, goal.cells) if value is not None]
    if len(values) < len(goal.cells):
        return list(goal.cells)
    goal.numbers()  # NaN and infinity are not classes
    return [_canonical(cell, value) for cell, value in zip(goal.cells, values, strict=True)]


def _canonical(cell: str, value: float) -> str:
    """One way to write a number; of whole numbers every digit counts, however many there are."""
    if _WHOLE.fullmatch(cell):
        return str(int(cell))
    return str(int(value)) if value.is_integer() else repr(value)


def _classes(goal: Column) -> tuple[str, ...]:
    names = set(_labels(goal))
    _refuse_alike(goal, names)
    if all(number(name) is not None for name in names):
        return tuple(sorted(names, key=Decimal))
    return tuple(sorted(names))


def _categories(column: Column) -> tuple[str, ...]:
    column.check_filled()
    names = tuple(sorted(set(column.cells)))
    _refuse_alike(column, names)
    if len(names) > _MAX_CATEGORIES:
        raise DataError(
            f"{column.place}: data.categorical: column '{one_line(column.name, 40)}' has {len(names)} "
            f"different names, at most {_MAX_CATEGORIES} are encoded; leave the column out of data.features"
        )
    return names


def _refuse_alike(column: Column, names: Iterable[str]) -> None:
    """Refuses two names that look the same: they would be two classes or categories."""
    if pair := alike(sorted(names)):
        row = column.cells.index(pair[1])
        same = f"row {column.lines[column.cells.index(pair[0])]}"
        column.refuse(
            row, f"looks like the name in {same} and differs from it: it contains {oddity(pair[1])}"
        )


def _one_hot(column: Column, categories: tuple[str, ...]) -> np.ndarray:
    """(n, k) float64: 1 at the column's category."""
    codes = _codes(list(column.cells), categories, column)
    return np.eye(len(categories))[codes]


def _codes(names: list[str], known: tuple[str, ...], column: Column) -> np.ndarray:
    """(n,) int32: the position of each name in `known`; DataError for one that the training part lacks."""
    code = {name: index for index, name in enumerate(known)}
    for row, name in enumerate(names):
        if name not in code:
            column.refuse(
                row, f"does not occur in the training part; it has {one_line(', '.join(known), 80)}"
            )
    return np.array([code[name] for name in names], np.int32)
