"""In which forms the dates of a column are written, and what to do where they are several."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from nnrun.data._column import Column
from nnrun.data._dates import days_of, formats_of
from nnrun.errors import one_line

__all__ = ["DateForm", "days_in", "forms_in", "refuse_date", "to_write"]

_MOST_FORMS = 4  # of one column


class DateForm(NamedTuple):
    """Cells of a column that are dates of one form.

    forms   that they all have, the likelier first; None: ISO 8601.  Empty: they are no dates in any known form
    cells   how many there are
    first   the first of them
    """

    forms: tuple[str | None, ...]
    cells: int
    first: str


def forms_in(cells: Iterable[str]) -> list[DateForm]:
    """The forms of dates, the most frequent first, and at the end the cells that have none."""
    rest, groups = Counter(cells), []
    while rest and len(groups) < _MOST_FORMS:
        likely = formats_of(rest, least=0)
        if not likely:
            break
        fitting = [cell for cell in rest if days_of(cell, likely[0]) is not None]
        groups.append(DateForm(tuple(likely), sum(rest[cell] for cell in fitting), fitting[0]))
        for cell in fitting:
            del rest[cell]
    groups.sort(key=lambda group: -group.cells)
    return [*groups, *([DateForm((), rest.total(), next(iter(rest)))] if rest else [])]


def days_in(column: Column, form: str | None, what: str = "") -> np.ndarray:
    """(n,) float64 days since 1970; DataError for the first cell that is no date of this form, with how many more.

    what   a cell is not, where that is not only a date of this form
    """
    values = [days_of(cell, form) for cell in column.cells]
    if None in values:
        refuse_date(column, values.index(None), form, values.count(None) - 1, what)
    return np.array(values, np.float64)


def refuse_date(column: Column, row: int, form: str | None, more: int, what: str = "") -> None:
    """Raises DataError for a cell that is no date of the form that the spec has.

    more   how many other cells are none
    what   it is not, in place of a date of this form
    """
    others = f"; so {'are' if more > 1 else 'is'} {more} more of its cells" if more else ""
    shown = "ISO 8601 (2024-01-31)" if form is None else form
    column.refuse(row, f"{what or f'is not a date as {shown}'}; {_remedy(column, form)}{others}")


def _remedy(column: Column, form: str | None) -> str:
    groups = [] if column.trained else forms_in(cell for cell in column.cells if not column.is_missing(cell))
    if (
        not groups
        or not groups[0].forms
        or (len(groups) < 3 and form in groups[0].forms and not groups[-1].forms)
    ):
        return "correct it"
    if len([group for group in groups if group.forms]) > 1:
        return (
            f"dates of a table have one form, and these have several ({_in_words(groups)}): write them alike"
        )
    likely = groups[0].forms[0]
    fits = "no data.date_format (ISO 8601)" if likely is None else f'data.date_format: "{likely}"'
    odd = "" if len(groups) == 1 else f", and '{one_line(groups[-1].first, 40)}' in it corrected"
    return f"this column needs {fits}{odd}; columns of dates in another form are to be rewritten or excluded"


def _in_words(groups: Sequence[DateForm]) -> str:
    """The forms of one column: `ISO 8601 in 133 cells, "%d.%m.%Y" in 67, such as '01.12.2024'`."""
    if len(groups) == 1:
        return _either(groups[0].forms) if groups[0].forms else "none that is known"
    parts = []
    for place, (forms, count, first) in enumerate(groups):
        cells = " cells" if place == 0 else ""
        form = _either(forms[:1]) if forms else "no known form"
        parts.append(f"{form} in {count}{cells}, such as '{one_line(first, 40)}'")
    return ", ".join(parts)


def _either(forms: Sequence[str | None]) -> str:
    """Forms that all fit: `"%d.%m.%Y" or "%m.%d.%Y"`."""
    return " or ".join("ISO 8601" if form is None else f'"{form}"' for form in forms)


def to_write(columns: Mapping[str, Column], written: str | None) -> tuple[str, str]:
    """What to write as data.date_format, and why that is not enough: dates of one table have one form.

    columns   of dates
    written   data.date_format as the spec has it
    """
    groups = {
        name: forms_in(cell for cell in column.cells if not column.is_missing(cell))
        for name, column in columns.items()
    }
    mixed = {
        name: forms for name, forms in groups.items() if len([group for group in forms if group.forms]) > 1
    }
    likely = [forms[0].forms for forms in groups.values()]
    common = [form for form in likely[0] if all(form in forms for forms in likely)] if likely else []
    remedy = ""
    if common and written not in common:
        remedy = (
            "leave data.date_format out" if None in common else f"write data.date_format: {_either(common)}"
        )
    if not common:
        mixed = groups
    if not mixed:
        return remedy, ""
    shown = "; ".join(f"{one_line(name, 40)}: {_in_words(found)}" for name, found in mixed.items())
    return (
        remedy,
        f"dates of a table have one form, these differ ({shown}): write them alike, or leave some out",
    )
