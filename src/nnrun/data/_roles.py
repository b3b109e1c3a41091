"""What each column of a table is for: the target, a feature, or nothing; and the rule of each feature."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import NamedTuple

from nnrun.data._column import Table
from nnrun.data._fit_columns import Missing, Rule
from nnrun.data._request import TableRequest
from nnrun.data._targets import check_names
from nnrun.errors import DataError, one_line
from nnrun.options import DatePart
from nnrun.preprocessing import Date

__all__ = ["Roles", "matched", "roles_of"]

_UNNAMED = "Unnamed: "


class Roles(NamedTuple):
    """What the columns are for.

    features   in the order of the inputs
    beside     what those are for that are neither feature nor target: excluded, weights, group or time
    """

    features: dict[str, Rule]
    beside: dict[str, str]


def roles_of(table: Table, request: TableRequest) -> Roles:
    """What each column is for.  Raises DataError for a name or pattern that fits nothing, or fits two roles."""
    check_names(table, request.targets, {"categorical": request.categorical, "dates": request.dates})
    excluded = _excluded(table, request)
    about_rows = _about_rows(table, request)
    names = _features(table, request, excluded, about_rows)
    categorical = _among(table, request.categorical, "categorical", names)
    dates = _among(table, request.dates, "dates", names)
    if both := [name for name in dates if name in categorical]:
        name = one_line(both[0], 40)
        raise DataError(
            f"{table.place}: data.dates: '{name}' is listed in data.categorical too; leave one out"
        )
    _check_rare(table, request, categorical)
    _check_idle(table, request, dates)
    rules = {
        name: Rule(
            is_category=name in categorical,
            indicator=request.cells.missing_indicator,
            unknown=request.cells.unknown if name in categorical else "refuse",
            rare=request.cells.rare if name in categorical else 0,
            date=_date(name, request.dates[dates[name]], request.date_format) if name in dates else None,
        )
        for name in names
    }
    return Roles(
        _with_missing(table, request.cells.missing, rules), dict.fromkeys(excluded, "excluded") | about_rows
    )


def _excluded(table: Table, request: TableRequest) -> tuple[str, ...]:
    fitting = matched(table, request.exclude, "exclude", table.columns)
    for target in request.targets:
        if target in fitting:
            pattern = one_line(fitting[target], 40)
            raise DataError(
                f"{table.place}: data.exclude: '{pattern}' fits the target '{one_line(target, 40)}'; name what is "
                "to be left out"
            )
    for name in request.features or ():
        if name in fitting:
            raise DataError(
                f"{table.place}: data.exclude: '{one_line(name, 40)}' is listed in data.features; leave it out of one"
            )
    return tuple(name for name in table.columns if name in fitting)


def _about_rows(table: Table, request: TableRequest) -> dict[str, str]:
    """The columns that are about rows, and what they are for.  Raises DataError for one that has another role."""
    weights, split_by, time = request.rows
    if split_by is not None and time is not None:
        raise DataError(
            f"{table.place}: data.split_by and data.time: a split is by groups or by time; leave one out"
        )
    columns = {}
    for option, name in (("weights", weights), ("split_by", split_by), ("time", time)):
        if name is None:
            continue
        table.column(name, option)
        shown = one_line(name, 40)
        if name in request.targets or name in columns:
            raise DataError(
                f"{table.place}: data.{option}: '{shown}' is the target or has another role; write another"
            )
        if option == "weights" and name in (request.features or ()):
            raise DataError(
                f"{table.place}: data.weights: '{shown}' is listed in data.features; leave it out of one"
            )
        columns[name] = "group" if option == "split_by" else option
    return columns


def _features(
    table: Table, request: TableRequest, excluded: Collection[str], about_rows: Collection[str]
) -> list[str]:
    """The names of the input columns, in order; DataError for one that is missing, double or the target."""
    targets, listed = request.targets, request.features
    left_out = {*targets, *excluded, *(name for name in about_rows if name not in request.dates)}
    names = [name for name in table.columns if name not in left_out]
    names = names if listed is None else listed
    for name in names:
        table.column(name, "features")
        if listed is None and name.startswith(_UNNAMED):
            shown = one_line(name, 40)
            raise DataError(
                f"{table.place}:1:{table.columns[name].position}: column '{shown}' looks like the row numbers that "
                f'pandas writes; remove it (to_csv(..., index=False)), or write data.exclude: ["{_UNNAMED}*"]'
            )
    if not names or len(set(names)) < len(names) or not set(targets).isdisjoint(names):
        shown = one_line(", ".join(f"'{target}'" for target in targets), 80)
        raise DataError(
            f"{table.place}: data.features: needed: at least one column, each once, without the "
            f"{'target' if len(targets) == 1 else 'targets'} {shown}"
        )
    return names


def _among(table: Table, patterns: Collection[str], option: str, features: Sequence[str]) -> dict[str, str]:
    """The features that names and patterns fit, each with the first that does."""
    fitting = matched(table, patterns, option, features)
    for name in patterns:
        if name in table.columns and name not in features:
            raise DataError(
                f"{table.place}: data.{option}: '{one_line(name, 40)}' is not one of the features"
            )
    return fitting


def matched(table: Table, patterns: Collection[str], option: str, among: Collection[str]) -> dict[str, str]:
    """Column -> the first name or pattern that fits it; DataError for one that fits no column."""
    for pattern in patterns:
        if pattern in table.columns or any(fnmatchcase(name, pattern) for name in among):
            continue
        if any(character in pattern for character in "*?["):
            near = get_close_matches(pattern.strip("*?"), table.columns, n=3, cutoff=0.4)
            names = f"near are {', '.join(near)}" if near else f"there are {', '.join(table.columns)}"
            raise DataError(
                f"{table.place}:1: data.{option}: no column fits '{one_line(pattern, 40)}'; {one_line(names, 120)}"
            )
        table.column(pattern, option)
    fitting: dict[str, str] = {}
    for name in among:
        exact = [pattern for pattern in patterns if pattern == name]
        loose = [
            pattern for pattern in patterns if pattern not in table.columns and fnmatchcase(name, pattern)
        ]
        if exact or loose:
            fitting[name] = [*exact, *loose][0]
    return fitting


def _with_missing(
    table: Table, missing: Missing | Mapping[str, Missing], rules: dict[str, Rule]
) -> dict[str, Rule]:
    if isinstance(missing, str):
        return {name: rule._replace(missing=missing) for name, rule in rules.items()}
    fitting = _among(table, missing, "missing", list(rules))
    return {
        name: rule._replace(missing=missing[fitting[name]], by_name=fitting[name] == name)
        if name in fitting
        else rule
        for name, rule in rules.items()
    }


def _check_rare(table: Table, request: TableRequest, categorical: Collection[str]) -> None:
    if (request.cells.rare or request.cells.unknown != "refuse") and not categorical:
        option = "rare" if request.cells.rare else "unknown"
        raise DataError(f"{table.place}: data.{option}: is about categories; list them in data.categorical")
    if request.cells.unknown == "other" and not request.cells.rare:
        raise DataError(
            f"{table.place}: data.unknown: other counts unknown names as rare ones, of which nothing is learned "
            "without data.rare; write data.rare: 5 too, or data.unknown: zeros"
        )


def _check_idle(table: Table, request: TableRequest, dates: Collection[str]) -> None:
    """Raises DataError for an option that would change nothing."""
    if request.cells.missing_indicator and request.cells.missing in ("refuse", {}):
        raise DataError(
            f"{table.place}: data.missing_indicator: tells which cells were filled in, and data.missing fills in none; "
            "write data.missing too, or leave it out"
        )
    if request.date_format is not None and not dates and request.rows.time is None:
        raise DataError(
            f"{table.place}: data.date_format: no column is read as dates; list them in data.dates, or leave it out"
        )


def _date(name: str, parts: DatePart | list[DatePart], form: str | None) -> Date:
    listed = [parts] if isinstance(parts, str) else parts
    if not listed:
        raise DataError(
            f"data.dates: '{one_line(name, 40)}' becomes nothing; write days, weekday, month or hour, or "
            "data.exclude"
        )
    return Date(tuple(dict.fromkeys(listed)), "", form)
