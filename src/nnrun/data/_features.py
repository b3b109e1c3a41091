"""The features of a table as a spec describes them, read; all that is wrong with them is told at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from nnrun.data._advice import ForMissing, missing_rules
from nnrun.data._column import Column, Table
from nnrun.data._encode import Parsed, parsed, refuse_missing
from nnrun.data._faults import Faults
from nnrun.data._fit_columns import Rule, fitted_column, missing_rule
from nnrun.data._kinds import ColumnKind, kind_of, unsettled_in
from nnrun.data._request import TableRequest
from nnrun.data._roles import Roles, roles_of
from nnrun.data._settle import proposals, refuse_unsettled
from nnrun.preprocessing import FittedColumn

__all__ = ["Features", "features_in", "fitted_to"]


class Features(NamedTuple):
    """The features of a table.

    kinds   of all columns
    read    the cells of the features
    """

    roles: Roles
    kinds: dict[str, ColumnKind]
    read: dict[str, Parsed]


def features_in(table: Table, request: TableRequest) -> Features:
    """The features of the table that is trained on.

    Raises DataError with a line for each option that does not fit the table, or else for each column at fault.
    """
    roles = roles_of(table, request)
    kinds = {name: kind_of(column) for name, column in table.columns.items()}
    rules, faults = roles.features, Faults()
    chosen = [name for name, rule in rules.items() if rule.is_category or rule.date]
    dated = {name: rule for name, rule in rules.items() if rule.date}
    unsettled = unsettled_in({name: kinds[name] for name in rules}, chosen, request.features is not None)
    with faults.collected():
        refuse_unsettled(table, unsettled, request, dated)
    tried = {
        name: faults.tried(
            lambda name=name, rule=rule: parsed(table.columns[name], rule.is_category, rule.date)
        )
        for name, rule in rules.items()
        if name not in unsettled
    }
    read = {name: column for name, column in tried.items() if column is not None}
    proposed = {name: option for name, option in proposals(unsettled).items() if option != "exclude"}
    used = [name for name in rules if name not in unsettled or name in proposed]
    refused = _without_rule(table, rules, used, proposed, faults)
    if refused:
        with faults.collected():
            _refuse_missing(table.columns[refused[0].name], refused, request)
    if faults:  # fitted for their faults alone
        left = [name for name in read if name not in {column.name for column in refused}]
        with faults.collected():
            fitted_to({name: read[name] for name in left}, rules, np.arange(_rows(table)))
    faults.refuse()
    return Features(roles, kinds, read)


def _rows(table: Table) -> int:
    return len(next(iter(table.columns.values())).cells)


def _without_rule(
    table: Table, rules: Mapping[str, Rule], names: list[str], proposed: Mapping[str, str], faults: Faults
) -> list[ForMissing]:
    """The features with missing cells that no rule of the spec is for.

    proposed   the option that columns will have which are not settled yet
    """
    refused = []
    for name in names:
        column = table.columns[name]
        rule = rules[name]._replace(
            is_category=rules[name].is_category or proposed.get(name) == "categorical"
        )
        if not any(map(column.is_missing, column.cells)):
            continue
        with faults.collected():
            if missing_rule(column, rule) == "refuse":
                refused.append(ForMissing(name, rule.is_category))
    return refused


def _refuse_missing(column: Column, refused: list[ForMissing], request: TableRequest) -> None:
    missing = np.array([column.is_missing(cell) for cell in column.cells], bool)
    values = None if refused[0].is_category else np.zeros(len(missing))
    remedy = f"{missing_rules(refused, request)}, fill it in or remove the row"
    refuse_missing(Parsed(column, values, missing), int(missing.argmax()), remedy, ";")


def fitted_to(
    read: Mapping[str, Parsed], rules: Mapping[str, Rule], rows: np.ndarray
) -> tuple[FittedColumn, ...]:
    """These features, fitted to rows of the table.  Raises DataError with a line for each that cannot be."""
    faults = Faults()
    columns = [
        faults.tried(lambda name=name, cells=cells: fitted_column(cells, rules[name], rows))
        for name, cells in read.items()
    ]
    faults.refuse()
    return tuple(column for column in columns if column is not None)
