"""What to write about columns that are no numbers, where the spec does not say what to do with them."""

from __future__ import annotations

from collections.abc import Mapping

from nnrun.data._advice import listed, mapped, without
from nnrun.data._column import Table
from nnrun.data._date_forms import to_write
from nnrun.data._kinds import ColumnKind
from nnrun.data._request import TableRequest
from nnrun.errors import DataError, one_line

__all__ = ["proposals", "refuse_unsettled"]


def proposals(unsettled: Mapping[str, ColumnKind]) -> dict[str, str]:
    """The option that is proposed for each column: dates, categorical or exclude."""
    options = {"date": "dates", "category": "categorical"}
    return {name: options.get(kind.name, "exclude") for name, kind in unsettled.items()}


def refuse_unsettled(
    table: Table, unsettled: Mapping[str, ColumnKind], request: TableRequest, dated: Mapping[str, object]
) -> None:
    """Raises DataError naming the first of these columns, with what to write about all of them, if there are any.

    unsettled   kinds by name
    dated       the columns that the spec reads as dates already
    """
    if not unsettled:
        return
    name, kind = next(iter(unsettled.items()))
    column = table.columns[name]
    remedy = _remedy(table, unsettled, request, [*dated])
    if kind.odd is not None:
        column.refuse(kind.odd, f"is not a number; {remedy}")
    raise DataError(
        f"{table.place}:{column.lines[0]}:{column.position}: column '{one_line(name, 40)}' is an identifier; {remedy}, "
        "or list data.features with it"
    )


def _remedy(
    table: Table, unsettled: Mapping[str, ColumnKind], request: TableRequest, dated: list[str]
) -> str:
    """What to write about these columns, and why some of them are to be left out."""
    lists: dict[str, list[str]] = {"categorical": [], "dates": [], "exclude": []}
    for name, option in proposals(unsettled).items():
        lists[option].append(name)
    reasons = [
        f"{one_line(name, 40)}: {unsettled[name].name}, {unsettled[name].why}" for name in lists["exclude"]
    ]
    written = (
        [listed("categorical", request.categorical, lists["categorical"])] if lists["categorical"] else []
    )
    if lists["dates"]:
        written.append(mapped("dates", request.dates, dict.fromkeys(lists["dates"], "days")))
        columns = {name: table.columns[name] for name in [*dated, *lists["dates"]]}
        date_form, differ = to_write(columns, request.date_format)
        written += [date_form] if date_form else []
        reasons += [differ] if differ else []
    if lists["exclude"] and request.features is not None:
        written.append(without("features", lists["exclude"]))
    elif lists["exclude"]:
        written.append(listed("exclude", request.exclude, lists["exclude"]))
    why = f" ({'; '.join(reasons)})" if reasons else ""
    return ", ".join(written).replace(", write ", ", ") + why
