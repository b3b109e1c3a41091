"""What each column of a table is for: the target, a feature, or nothing; and the rule of each feature."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from nnrun.data import _advice as advice
from nnrun.data._column import Table
from nnrun.data._faults import Faults
from nnrun.data._fit_columns import Missing, Rule
from nnrun.data._patterns import check_patterns, fitting
from nnrun.data._request import TableRequest
from nnrun.data._targets import check_names
from nnrun.errors import DataError, one_line
from nnrun.options import DatePart
from nnrun.preprocessing import Date

__all__ = ["Roles", "roles_of"]

_UNNAMED = "Unnamed: "


class Roles(NamedTuple):
    """What the columns are for.

    features   in the order of the inputs
    beside     what those are for that are neither feature nor target: excluded, weights, group or time
    """

    features: dict[str, Rule]
    beside: dict[str, str]


def roles_of(table: Table, request: TableRequest) -> Roles:
    """What each column is for.

    Raises DataError with a line for each name or pattern that fits nothing, or fits two roles.
    """
    faults = Faults()
    with faults.collected():
        check_names(table, request.targets, {"categorical": request.categorical, "dates": request.dates})
    excluded = _excluded(table, request, faults)
    about_rows = _about_rows(table, request, faults)
    names = _features(table, request, excluded, about_rows, faults)
    listed = [name for name in request.categorical if name not in request.targets]
    categorical = _among(table, listed, "categorical", names, faults)
    listed = [name for name in request.dates if name not in request.targets]
    dates = _among(table, listed, "dates", names, faults)
    for name in [name for name in dates if name in categorical]:
        shown = one_line(name, 40)
        faults.add(f"{table.place}: data.dates: '{shown}' is listed in data.categorical too; leave one out")
    with faults.collected():
        _check_rare(table, request, categorical)
    with faults.collected():
        _check_idle(table, request, dates)
    rules = {
        name: Rule(
            is_category=name in categorical,
            indicator=request.cells.missing_indicator,
            unknown=request.cells.unknown if name in categorical else "refuse",
            rare=request.cells.rare if name in categorical else 0,
            date=faults.tried(lambda name=name: _date(name, request.dates[dates[name]], request.date_format))
            if name in dates
            else None,
        )
        for name in names
    }
    rules = _with_missing(table, request.cells.missing, rules, faults)
    faults.refuse()
    return Roles(rules, dict.fromkeys(excluded, "excluded") | about_rows)


def _excluded(table: Table, request: TableRequest, faults: Faults) -> tuple[str, ...]:
    with faults.collected():
        check_patterns(table, request.exclude, "exclude", table.columns)
    fits = fitting(table, request.exclude, table.columns)
    for target in request.targets:
        if target in fits:
            pattern = one_line(fits[target], 40)
            faults.add(
                f"{table.place}: data.exclude: '{pattern}' fits the target '{one_line(target, 40)}'; name what is "
                "to be left out"
            )
    for name in request.features or ():
        if name in fits:
            faults.add(
                f"{table.place}: data.exclude: '{one_line(name, 40)}' is listed in data.features; leave it out of one"
            )
    return tuple(name for name in table.columns if name in fits)


def _about_rows(table: Table, request: TableRequest, faults: Faults) -> dict[str, str]:
    """The columns that are about rows, and what they are for."""
    weights, split_by, time = request.rows
    if split_by is not None and time is not None:
        faults.add(
            f"{table.place}: data.split_by and data.time: a split is by groups or by time; leave one out"
        )
    columns = {}
    for option, name in (("weights", weights), ("split_by", split_by), ("time", time)):
        if name is None:
            continue
        with faults.collected():
            table.column(name, option)
        shown = one_line(name, 40)
        if name in request.targets or name in columns:
            faults.add(
                f"{table.place}: data.{option}: '{shown}' is the target or has another role; write another"
            )
        if option == "weights" and name in (request.features or ()):
            faults.add(
                f"{table.place}: data.weights: '{shown}' is listed in data.features; leave it out of one"
            )
        columns[name] = "group" if option == "split_by" else option
    return columns


def _features(
    table: Table,
    request: TableRequest,
    excluded: Collection[str],
    about_rows: Collection[str],
    faults: Faults,
) -> list[str]:
    """The names of the input columns, in order, without those that are missing."""
    targets, listed = request.targets, request.features
    left_out = {*targets, *excluded, *(name for name in about_rows if name not in request.dates)}
    names = [name for name in table.columns if name not in left_out]
    names = names if listed is None else listed
    for name in names:
        with faults.collected():
            table.column(name, "features")
        if listed is None and name.startswith(_UNNAMED):
            shown = one_line(name, 40)
            faults.add(
                f"{table.place}:1:{table.columns[name].position}: column '{shown}' looks like the row numbers that "
                f"pandas writes; remove it (to_csv(..., index=False)), or "
                f"{advice.listed('exclude', request.exclude, [f'{_UNNAMED}*'])}"
            )
    if not names or len(set(names)) < len(names) or not set(targets).isdisjoint(names):
        shown = one_line(", ".join(f"'{target}'" for target in targets), 80)
        faults.add(
            f"{table.place}: data.features: needed: at least one column, each once, without the "
            f"{'target' if len(targets) == 1 else 'targets'} {shown}"
        )
    return [name for name in names if name in table.columns]


def _among(
    table: Table, patterns: Collection[str], option: str, features: Sequence[str], faults: Faults
) -> dict[str, str]:
    """The features that names and patterns fit, each with the first that does."""
    with faults.collected():
        check_patterns(table, patterns, option, features)
    for name in patterns:
        if name in table.columns and name not in features:
            faults.add(f"{table.place}: data.{option}: '{one_line(name, 40)}' is not one of the features")
    return fitting(table, patterns, features)


def _with_missing(
    table: Table, missing: Missing | Mapping[str, Missing], rules: dict[str, Rule], faults: Faults
) -> dict[str, Rule]:
    if isinstance(missing, str):
        return {name: rule._replace(missing=missing) for name, rule in rules.items()}
    fits = _among(table, missing, "missing", list(rules), faults)
    return {
        name: rule._replace(missing=missing[fits[name]], by_name=fits[name] == name) if name in fits else rule
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
