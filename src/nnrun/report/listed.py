"""The list of runs that `nnrun ls` shows."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from nnrun.errors import NnrunError
from nnrun.report import chosen_rows
from nnrun.report.overview import OverviewRow, overview

if TYPE_CHECKING:
    from nnrun.report.entry import Entry

__all__ = ["ListOptions", "listed"]

_MOST_READ = 100  # runs whose specs are read where nobody asks for a setting


class ListOptions(NamedTuple):
    """The options of `nnrun ls`."""

    conditions: Sequence[str] = ()
    by: str = ""
    columns: str = ""
    limit: int | None = None


def listed(folders: Sequence[Path], wanted: ListOptions) -> tuple[list[OverviewRow], list[str]]:
    """The rows to show, with the settings that differ between them, and the columns that were asked for.

    Raises SpecError for a name that no run has.
    """
    rows = overview(folders)
    conditions = chosen_rows.conditions(wanted.conditions)
    names = [condition.name for condition in conditions]
    names += [name.strip() for name in wanted.columns.split(",")] if wanted.columns else []
    names += [wanted.by.removeprefix("-")] if wanted.by else []
    by_setting = chosen_rows.needs_settings(names, rows)
    entries: dict[str, Entry] = {}
    if by_setting:
        entries = _read(folders)
        rows = [_with(row, entries[row["run"]].settings) if row["run"] in entries else row for row in rows]
    rows = chosen_rows.matching(rows, conditions)
    columns = chosen_rows.columns_of(wanted.columns, rows) if wanted.columns and rows else []
    rows = _ordered(rows, wanted)
    if not by_setting and not columns and len(rows) <= _MOST_READ:
        entries = _read([Path(row["run"]) for row in rows])
    if not columns or "settings" in columns:
        rows = _with_differences(rows, entries)
    return rows, columns


def _ordered(rows: list[OverviewRow], wanted: ListOptions) -> list[OverviewRow]:
    if wanted.by:
        return chosen_rows.sort(rows, wanted.by)[: wanted.limit]
    if wanted.limit is None or wanted.limit >= len(rows):
        return rows
    newest = sorted(rows, key=lambda row: row.get("changed", 0.0), reverse=True)[: wanted.limit]
    kept = {row["run"] for row in newest}
    return [row for row in rows if row["run"] in kept]


def _with(row: OverviewRow, settings: dict[str, object]) -> OverviewRow:
    return {**row, "settings": settings}


def _with_differences(rows: list[OverviewRow], entries: dict[str, Entry]) -> list[OverviewRow]:
    """The rows with the settings that they do not all have, as `nnrun compare` knows them."""
    if not entries:  # which takes no time where there are many rows
        return [_with(row, {}) for row in rows]
    from nnrun.report.side_by_side import differing

    present = [entries[row["run"]] for row in rows if row["run"] in entries]
    keys = [key for key in differing(present) if any(key in entry.written for entry in present)]
    shown = _telling(keys, present)
    without: list[OverviewRow] = []
    for row in rows:
        known = entries[row["run"]].settings if row["run"] in entries else {}
        without.append(_with(row, {key: known[key] for key in shown if key in known}))
    return without


def _telling(keys: Sequence[str], present: Sequence[Entry]) -> list[str]:
    """The keys, first those in which runs on the same data differ: the others are told by the data."""
    from nnrun.report.side_by_side import differing

    of_data: dict[str, list[Entry]] = {}
    for entry in present:
        data = [entry.settings.get(key) for key in ("data.name", "data.path", "data.target")]
        of_data.setdefault(repr(data), []).append(entry)
    inside = {key for entries in of_data.values() for key in differing(entries)}
    return sorted(keys, key=lambda key: key not in inside)


def _read(folders: Sequence[Path]) -> dict[str, Entry]:
    """What the specs of runs say; nothing of a sweep or a damaged run."""
    if not folders:
        return {}
    from nnrun.report.entry import entry_of

    entries = {}
    for folder in folders:
        with contextlib.suppress(NnrunError):
            entries[str(folder)] = entry_of(str(folder), folder)
    return entries
