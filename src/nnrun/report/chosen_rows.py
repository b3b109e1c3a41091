"""Which rows of a list of runs are shown, and in which order."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, TypeGuard

from nnrun.errors import SpecError, one_line
from nnrun.report.overview import OverviewRow, has_no_value, metric_in, value_of
from nnrun.report.values import UNDEFINED, number
from nnrun.statistics.metric import last_part

__all__ = ["Condition", "columns_of", "conditions", "matching", "needs_settings", "resolve", "sort"]

_FIELDS = ("run", "status", "step", "changed", "seeds", "folds", "tags", "settings")
_CONDITION = re.compile(r"(.+?)(!=|>=|<=|=|>|<|~)(.*)", re.DOTALL)


class Condition(NamedTuple):
    """A comparison that a row must satisfy: `optimizer=adam`, `val/accuracy>0.9`, `run~mnist`, `tags~best`.

    written   the value as it was written
    """

    name: str
    sign: str
    value: object
    written: str
    text: str


def conditions(texts: Iterable[str]) -> list[Condition]:
    """The conditions in texts, several of them apart by spaces.  Raises SpecError."""
    parts = [part for text in texts for part in text.split()]
    return [_condition(part) for part in parts]


def _condition(text: str) -> Condition:
    match = _CONDITION.fullmatch(text)
    if match is None or not match[3]:
        shown = one_line(text, 60)
        raise SpecError(
            f"--filter: got {shown!r}; write NAME=VALUE without blanks, or one of != > >= < <= and ~ (contains) for "
            "the ="
        )
    from nnrun.spec import scalar

    name, sign, value = match.groups()
    if sign != "~" and re.fullmatch(r"-?[0-9]+(\.[0-9]+)?%", value):  # a share, as it is shown
        return Condition(name, sign, float(value[:-1]) / 100, value, text)
    return Condition(name, sign, scalar.value(value) if sign != "~" else value, value, text)


def needs_settings(names: Iterable[str], rows: Sequence[OverviewRow]) -> bool:
    """Whether a name is no column or metric of the rows, so that the specs of the runs have to be read."""
    for name in names:
        try:
            resolve(name, rows, "")
        except SpecError:
            return True
        if name == "settings":
            return True
    return False


def resolve(name: str, rows: Sequence[OverviewRow], option: str) -> str:
    """The column that a user means: `accuracy` is test/accuracy, `optimizer` optimizer.name, `dropout` model.dropout.

    Raises SpecError for a name that no row has, or that stands for several.
    """
    measured = [name for row in rows for name in (*(row["best"] or {}), *row["test"])]
    known = dict.fromkeys([*_FIELDS, *measured, *(key for row in rows for key in row.get("settings", {}))])
    if name in known:
        return name
    for full in (f"test/{name}", f"val/{name}", f"{name}.name"):
        if full in known:
            return full
    ends = [full for full in known if full.endswith((f".{name}", f"/{name}"))]
    if len(ends) == 1:
        return ends[0]
    shown = one_line(name, 60)
    if ends:
        raise SpecError(f"{option}: {shown} can be {' or '.join(ends)}; write the one you mean in full")
    raise SpecError(f"{option}: no run has {shown!r}; {_nearest(name, list(known))}")


def _nearest(name: str, known: Sequence[str]) -> str:
    """The nearest of the names; of the settings, of which there are many, only where it is near."""
    from nnrun.spec.schema import nearest

    by_end = {full.removesuffix(".name").rpartition(".")[2]: full for full in known}
    near = nearest(name, by_end)
    if near.startswith("write"):
        near = nearest(name, [full for full in known if "." not in full]) + ", or a setting"
    return near


def columns_of(text: str, rows: Sequence[OverviewRow]) -> list[str]:
    """The columns of `status,optimizer,val/accuracy`.  Raises SpecError."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names:
        raise SpecError("--columns: got none; write names such as status,optimizer,val/accuracy")
    return [resolve(name, rows, "--columns") for name in names if name != "run"]


def matching(rows: Sequence[OverviewRow], every: Sequence[Condition]) -> list[OverviewRow]:
    """The rows that satisfy all conditions; one that has no such value satisfies none but !=.  Raises SpecError."""
    named = (
        [condition._replace(name=resolve(condition.name, rows, "--filter")) for condition in every]
        if rows
        else []
    )
    return [row for row in rows if all(_holds(row, condition) for condition in named)]


_SIGNS: dict[str, Callable[[float, float], bool]] = {
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
}


def _holds(row: OverviewRow, condition: Condition) -> bool:
    known = value_of(row, condition.name)
    match condition.sign:
        case "~":
            return known is not None and str(condition.value).lower() in str(known).lower()
        case "=":
            return _equal(known, condition, row)
        case "!=":
            return not _equal(known, condition, row)
    if not _is_number(condition.value):
        raise SpecError(
            f"--filter: {one_line(condition.text, 60)}: only numbers can be more or less; write a number"
        )
    if not _is_number(known):
        return False
    as_shown = "=" in condition.sign and _equal(known, condition, row)  # what is = is >= and <= too
    return as_shown or _SIGNS[condition.sign](float(known), float(condition.value))


def _equal(known: object, condition: Condition, row: OverviewRow) -> bool:
    """A value equals what it is shown as, too; one of several tags is enough."""
    value = condition.value
    if has_no_value(row, condition.name) and condition.written == UNDEFINED:
        return True
    if _is_number(known) and _is_number(value):
        return float(known) == float(value) or condition.written in (
            number(known),
            number(known, metric_in(row, condition.name)),
        )
    if isinstance(known, str) and " " in known and isinstance(value, str):
        return value == known or value in known.split()
    return known == value or str(known) == str(value)


def _is_number(value: object) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def sort(rows: Sequence[OverviewRow], by: str) -> list[OverviewRow]:
    """The rows in the order of a column: a metric the best first, the time of change the newest, else rising.

    by   the name of a column; a minus before it turns the order round
    Rows without a value come last, in any case.  Raises SpecError.
    """
    if not rows:
        return []
    name = resolve(by.removeprefix("-"), rows, "--sort")
    rising = {metric for row in rows for metric in row.get("rising", ())}
    falls = name == "changed" or last_part(name) in rising
    falls ^= by.startswith("-")
    known = [row for row in rows if _sortable(value_of(row, name))]
    rest = [row for row in rows if not _sortable(value_of(row, name))]
    return [*sorted(known, key=lambda row: _place(value_of(row, name)), reverse=falls), *rest]


def _sortable(value: object) -> bool:
    return value is not None and not (isinstance(value, float) and math.isnan(value)) and value != "nan"


def _place(value: object) -> tuple[bool, float, str]:
    """Numbers before texts."""
    if _is_number(value):
        return False, float(value), ""
    return True, 0.0, str(value)
