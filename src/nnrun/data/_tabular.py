"""From a table and what a spec says of its columns to a source, fitted to the training part where that is needed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from nnrun.data._check import check
from nnrun.data._column import Table
from nnrun.data._copies import copies_in
from nnrun.data._encode import Parsed, UnknownNames, encoded, features_of
from nnrun.data._faults import Faults, each_of
from nnrun.data._features import Features, features_in, fitted_to
from nnrun.data._goals import Goals, goals_of
from nnrun.data._marks import unused_marks, with_marks
from nnrun.data._request import TableRequest
from nnrun.data._roles import roles_of
from nnrun.data._row_columns import check_apart, groups_of, times_of, weights_of
from nnrun.data._shown import shown
from nnrun.errors import one_line
from nnrun.preprocessing import FittedColumn, TableFacts
from nnrun.types import Examples, Source

__all__ = ["facts_of", "goals_in", "source_of"]


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
    Raises DataError naming FILE:ROW:COLUMN, with a line for each fault.
    """
    tables = _marked(tables, request)
    table, test, faults = tables[0], next(iter(tables[1:]), None), Faults()
    features = faults.tried(lambda: features_in(table, request))
    goals, targets = goals_in(tables, request, task, classifies, binary, faults)
    facts = faults.tried(lambda: facts_of(table, test, request))
    faults.refuse()
    assert features is not None and goals is not None and facts is not None
    facts = facts._replace(notes=(*notes, *copies_in(table), *unused_marks(table)))
    return _fitted_source(tables, standardize, features, goals, targets, facts)


def _marked(tables: Sequence[Table], request: TableRequest) -> list[Table]:
    """The tables whose columns know their marks.  Raises DataError for options of marks, and all others beside them."""
    faults = Faults()
    marked = [
        faults.tried(lambda part=part: with_marks(part, request.cells.missing_marks)) for part in tables
    ]
    if faults:
        faults.tried(lambda: roles_of(tables[0], request))
    faults.refuse()
    return [part for part in marked if part is not None]


def goals_in(
    tables: Sequence[Table],
    request: TableRequest,
    task: str,
    classifies: bool | None,
    binary: bool,
    faults: Faults,
) -> tuple[Goals | None, list[np.ndarray]]:
    """What is to be predicted, and its values in each table; `faults` takes in what is wrong with them."""
    if not request.targets:
        return None, []
    goals = faults.tried(lambda: goals_of(tables[0], request.targets, task, classifies, binary))
    if goals is None:
        return None, []
    values = faults.tried(lambda: each_of(tables, goals.values))
    if values is None:
        return None, []
    with faults.collected():
        goals.refuse_constant(tables[0], values[0])
    return goals, values


def _fitted_source(
    tables: Sequence[Table],
    standardize: str,
    features: Features,
    goals: Goals,
    targets: Sequence[np.ndarray],
    facts: TableFacts,
) -> Source:
    """The source, fitted to all rows of the table that is trained on; `fit` in its facts fits it to some of them.

    targets   of each table
    """
    table, test = tables[0], next(iter(tables[1:]), None)
    place, rules = " with ".join(part.place for part in tables), features.roles.features

    def fit(rows: np.ndarray, recorded: tuple[FittedColumn, ...] | None = None) -> Source:
        if recorded is not None and [column.name for column in recorded] == list(rules):
            columns = recorded
        else:
            columns = fitted_to(features.read, rules, rows)
        train = Examples(_inputs(features.read, columns), targets[0])
        held, lines = None, list(facts.notes)
        if test is not None:
            unknown = UnknownNames(len(targets[1]))
            held = Examples(features_of(test, columns, unknown), targets[1])
            unknown.report(test.place, lines.append)
        about = shown(table, features.kinds, columns, rules, goals.by_target, features.roles.beside)
        with_about = facts._replace(about=about, notes=tuple(lines))
        source = Source(
            train, held, goals.classes, standardize, columns, with_about, goals.several, goals.pairs
        )
        return check(source, place)

    source = fit(np.arange(len(targets[0])))
    needs_fit = any(rule.needs_fit for rule in rules.values())
    return source._replace(table=source.table._replace(fit=fit)) if needs_fit else source


def facts_of(table: Table, test: Table | None, request: TableRequest) -> TableFacts:
    """What columns say of the rows.  Raises DataError with a line for each that is at fault."""
    columns, faults = request.rows, Faults()
    if test is not None:
        with faults.collected():
            check_apart(table, test, columns, request.date_format)
    weights = faults.tried(lambda: weights_of(table, columns))
    groups = faults.tried(lambda: groups_of(table, columns))
    times = faults.tried(lambda: times_of(table, columns, request.date_format))
    faults.refuse()
    return TableFacts(
        weights=weights,
        groups=groups,
        times=times,
        place=lambda held, row, j=0: _place(test if held and test else table, request.targets[j], row),
    )


def _inputs(read: Mapping[str, Parsed], columns: tuple[FittedColumn, ...]) -> np.ndarray:
    """(n, inputs) float64."""
    return np.hstack([encoded(read[feature.name], feature) for feature in columns])


def _place(table: Table, target: str, row: int) -> str:
    """Where a target is."""
    column = table.column(target, "target")
    return f"{table.place}:{column.lines[row]}:{column.position}: column '{one_line(target, 40)}'"
