"""From a table and what a spec says of its columns to a source, fitted to the training part where that is needed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from nnrun.data._check import check
from nnrun.data._column import Table
from nnrun.data._copies import copies_in
from nnrun.data._encode import Parsed, UnknownNames, encoded, features_of, parsed, refuse_missing
from nnrun.data._fit_columns import Rule, fitted_column, missing_rule
from nnrun.data._goals import goals_of
from nnrun.data._kinds import ColumnKind, check_kinds, kind_of, quoted
from nnrun.data._marks import unused_marks, with_marks
from nnrun.data._request import TableRequest
from nnrun.data._roles import roles_of
from nnrun.data._row_columns import check_apart, groups_of, times_of, weights_of
from nnrun.data._shown import shown
from nnrun.errors import DataError, one_line
from nnrun.preprocessing import FittedColumn, TableFacts
from nnrun.types import Examples, Source

__all__ = ["facts_of", "source_of"]

_MOST_NAMED = 4  # columns of numbers for each of which a rule is proposed by its name


def source_of(
    tables: Sequence[Table],
    request: TableRequest,
    task: str,
    standardize: str,
    classifies: bool | None,
    binary: bool = False,
    notes: tuple[str, ...] = (),
) -> Source:
    """The source that a table is, and perhaps another one that is its test part.

    task         auto, classification or regression
    classifies   what the loss of the spec says, where it was written
    binary       whether that is a loss of several labels
    notes        lines for people
    Raises DataError naming FILE:ROW:COLUMN.
    """
    table, *others = (with_marks(part, request.cells.missing_marks) for part in tables)
    test, place = next(iter(others), None), " with ".join(part.place for part in tables)
    roles = roles_of(table, request)
    goals = goals_of(table, request.targets, task, classifies, binary)
    kinds = {name: kind_of(column) for name, column in table.columns.items()}
    _check_features(table, kinds, roles.features, request.features is not None)
    read = _parsed(table, roles.features)
    _check_missing(read, roles.features)
    facts = facts_of(table, test, request)
    notes = (*notes, *copies_in(table), *unused_marks(table))

    def fit(rows: np.ndarray, recorded: tuple[FittedColumn, ...] | None = None) -> Source:
        if recorded is not None and [column.name for column in recorded] == list(roles.features):
            columns = recorded
        else:
            columns = tuple(fitted_column(read[name], rule, rows) for name, rule in roles.features.items())
        train = Examples(_inputs(read, columns), goals.values(table))
        held, lines = None, list(notes)
        if test is not None:
            unknown = UnknownNames(len(test.column(request.targets[0], "target").cells))
            held = Examples(features_of(test, columns, unknown), goals.values(test))
            unknown.report(test.place, lines.append)
        about = shown(table, kinds, columns, roles.features, goals.by_target, roles.beside)
        with_about = facts._replace(about=about, notes=tuple(lines))
        source = Source(
            train, held, goals.classes, standardize, columns, with_about, goals.several, goals.pairs
        )
        return check(source, place)

    source = fit(np.arange(len(table.column(request.targets[0], "target").cells)))
    goals.refuse_constant(table, source.train.y)
    needs_fit = any(rule.needs_fit for rule in roles.features.values())
    return source._replace(table=source.table._replace(fit=fit)) if needs_fit else source


def facts_of(table: Table, test: Table | None, request: TableRequest) -> TableFacts:
    """What columns say of the rows."""
    columns = request.rows
    if test is not None:
        check_apart(table, test, columns, request.date_format)
    return TableFacts(
        weights=weights_of(table, columns),
        groups=groups_of(table, columns),
        times=times_of(table, columns, request.date_format),
        place=lambda held, row, j=0: _place(test if held and test else table, request.targets[j], row),
    )


def _check_features(
    table: Table, kinds: Mapping[str, ColumnKind], rules: Mapping[str, Rule], named: bool
) -> None:
    chosen = {
        name: "category" if rule.is_category else "date"
        for name, rule in rules.items()
        if rule.is_category or rule.date
    }
    check_kinds(table, {name: kinds[name] for name in rules}, chosen, named)


def _parsed(table: Table, rules: Mapping[str, Rule]) -> dict[str, Parsed]:
    """The features.  Raises DataError with a line for each column that is at fault, as for new rows."""
    read, problems = {}, []
    for name, rule in rules.items():
        try:
            read[name] = parsed(table.columns[name], rule.is_category, rule.date)
        except DataError as error:
            problems.append(str(error))
    if problems:
        raise DataError("\n".join(problems))
    return read


def _check_missing(read: Mapping[str, Parsed], rules: Mapping[str, Rule]) -> None:
    """Refuses missing cells where the spec does not say what stands for them, with what to write for all features."""
    refused = [
        name
        for name, column in read.items()
        if column.missing.any() and missing_rule(column.column, rules[name]) == "refuse"
    ]
    if not refused:
        return
    first = read[refused[0]]
    remedy = f"write data.missing: {_rules_for(refused, rules)}, fill it in or remove the row"
    refuse_missing(first, int(first.missing.argmax()), remedy, ";")


def _rules_for(refused: Sequence[str], rules: Mapping[str, Rule]) -> str:
    """What to write for these features: their names, or one rule where they are many numbers."""
    if len(refused) > _MOST_NAMED and not any(rules[name].is_category for name in refused):
        return f"median (for these {len(refused)} columns and all other numbers)"
    written = [f"{quoted(name)}: {'category' if rules[name].is_category else 'median'}" for name in refused]
    return f"{{{', '.join(written)}}}"


def _inputs(read: Mapping[str, Parsed], columns: tuple[FittedColumn, ...]) -> np.ndarray:
    """(n, inputs) float64."""
    return np.hstack([encoded(read[feature.name], feature) for feature in columns])


def _place(table: Table, target: str, row: int) -> str:
    """Where a target is."""
    column = table.column(target, "target")
    return f"{table.place}:{column.lines[row]}:{column.position}: column '{one_line(target, 40)}'"
