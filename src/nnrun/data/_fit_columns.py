"""What is fitted to the training part of a table: names, what stands for missing cells, the first date."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Literal, NamedTuple

import numpy as np

from nnrun.data._cells import alike, oddity
from nnrun.data._column import Column
from nnrun.data._dates import as_iso, days_of
from nnrun.data._encode import Parsed
from nnrun.data._faults import Faults
from nnrun.errors import DataError, one_line
from nnrun.preprocessing import Date, FittedColumn

__all__ = ["Missing", "Rule", "fitted_column", "missing_rule", "refuse_alike"]

Missing = Literal["refuse", "mean", "median", "most_frequent", "category"]
_OF_NUMBERS, _OF_NAMES = ("mean", "median", "most_frequent"), ("most_frequent", "category")
_MAX_CATEGORIES = 1000


class Rule(NamedTuple):
    """What the spec says of a feature.

    missing     what stands for a missing cell
    by_name     whether that was written for this column, not for all or by a pattern
    indicator   whether a missing cell is told by one more input
    unknown     of names that the training part lacks: refuse, zeros or other
    rare        names with fewer training examples share one input
    date        the parts of a date, with an origin that is not fitted yet; None: no date
    """

    is_category: bool = False
    missing: Missing = "refuse"
    by_name: bool = False
    indicator: bool = False
    unknown: str = "refuse"
    rare: int = 0
    date: Date | None = None

    @property
    def needs_fit(self) -> bool:
        """Whether inputs depend on which rows are trained on."""
        named = self.is_category and (self.unknown != "refuse" or self.rare > 0)
        return named or self.missing != "refuse" or self.date is not None


def fitted_column(read: Parsed, rule: Rule, rows: np.ndarray) -> FittedColumn:
    """A feature, fitted to rows of the table of the training part.

    rows   positions, ascending
    Raises DataError where nothing can be fitted.
    """
    missing = missing_rule(read.column, rule)
    absent = read.missing[rows]
    if missing != "refuse" and absent.all():
        raise _unfit(read.column, "every cell of the training part is missing", "data.exclude")
    feature = FittedColumn(
        read.column.name,
        indicator=bool(rule.indicator and missing != "refuse" and absent.any()),
        marks=read.column.marks,
    )
    if rule.is_category:
        return _names(read, rule, rows, missing, feature)
    assert read.values is not None
    values = read.values[rows][~absent]
    origin = 0.0
    if rule.date is not None:
        origin = days_of(as_iso(float(values.min())), None) or 0.0
        feature = feature._replace(date=rule.date._replace(origin=as_iso(origin)))
    if missing == "refuse":
        return feature
    statistic = {"mean": np.mean, "median": np.median, "most_frequent": _mode}[missing]
    return feature._replace(fill=float(statistic(values - origin)))


def missing_rule(column: Column, rule: Rule) -> Missing:
    """The rule for missing cells of this column: one that does not fit its kind is refused if it was written for it."""
    fitting = _OF_NAMES if rule.is_category else _OF_NUMBERS
    if rule.missing == "refuse" or rule.missing in fitting:
        return rule.missing
    if rule.by_name:
        kind = "a category" if rule.is_category else "no category"
        raise DataError(
            f"{column.place}: data.missing: '{one_line(column.name, 40)}' is {kind}, which {rule.missing} is not for; "
            f"write {' or '.join(fitting)}"
        )
    return "refuse"


def _mode(values: np.ndarray) -> float:
    """The most frequent value, the smallest of several."""
    distinct, counts = np.unique(values, return_counts=True)
    return float(distinct[counts.argmax()])


def _names(
    read: Parsed, rule: Rule, rows: np.ndarray, missing: Missing, feature: FittedColumn
) -> FittedColumn:
    """A feature of names: those of the whole table where unknown ones are refused, else those of the training part."""
    column = read.column
    present = [cell for cell, absent in zip(column.cells, read.missing, strict=True) if not absent]
    refuse_alike(column, set(present))
    counts = Counter(column.cells[row] for row in rows.tolist() if not read.missing[row])
    names = sorted(set(present) if rule.unknown == "refuse" else set(counts))
    known = tuple(name for name in names if counts[name] >= rule.rare)
    if missing == "category":
        _check_present(read, rows)
        known = ("", *known) if read.missing[rows].any() else known
    if len(known) > _MAX_CATEGORIES:
        raise DataError(
            f"{column.place}: data.categorical: column '{one_line(column.name, 40)}' has {len(known)} "
            f"different names, at most {_MAX_CATEGORIES} are encoded; add it to data.exclude, "
            f"or write data.rare: {max(10, 2 * rule.rare)} to take rare ones together"
        )
    rare = tuple(name for name in names if counts[name] < rule.rare)
    if not known:
        most = max(counts.values())
        raise _unfit(
            column,
            f"every name has fewer than {rule.rare} training examples (the most frequent one {most}); write a "
            "smaller data.rare, or leave the column out",
            "data.exclude",
        )
    fill: str | None = None
    if missing == "most_frequent":
        fill = max(sorted(counts), key=counts.__getitem__)
    elif known[0] == "":
        fill = ""
    is_named = feature.indicator and fill != ""  # a category of its own tells it already
    return feature._replace(categories=known, rare=rare, unknown=rule.unknown, fill=fill, indicator=is_named)


def _check_present(read: Parsed, rows: np.ndarray) -> None:
    """Refuses missing cells outside the training part of which that has none: nothing would be learned of them."""
    if read.missing.any() and not read.missing[rows].any():
        name = one_line(read.column.name, 40)
        read.column.refuse(
            int(read.missing.argmax()),
            "is a missing value, and the training part has none in this column to learn from; make it "
            f"{name}: most_frequent in data.missing",
        )


def _unfit(column: Column, problem: str, option: str) -> DataError:
    name = one_line(column.name, 40)
    return DataError(f"{column.place}: column '{name}': {problem}; add it to {option}")


def refuse_alike(column: Column, names: Iterable[str]) -> None:
    """Refuses names that look the same, in a line for each: they would be several classes or categories."""
    problems = Faults()
    for plain, odd in alike(sorted(names)):
        with problems.collected():
            where = f"row {column.lines[column.cells.index(plain)]}"
            column.refuse(
                column.cells.index(odd),
                f"looks like the name in {where} and differs from it: it contains {oddity(odd)}",
            )
    problems.refuse()
