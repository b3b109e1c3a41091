"""Rows of a table that are there more than once."""

from __future__ import annotations

from nnrun.data._column import Table

__all__ = ["copies_in"]


def copies_in(table: Table) -> tuple[str, ...]:
    """A note on rows that are the same as an earlier one in every column, used or not; () where there are none.

    Where they are more than half of all, the columns take few values, and chance makes equal rows.
    """
    known: set[int] = set()
    count, first, rows = 0, None, 0
    for rows, cells in enumerate(zip(*(column.cells for column in table.columns.values()), strict=True), 1):
        digest = hash(cells)  # of two rows in 10^19 the same
        if digest in known:
            count, first = count + 1, rows - 1 if first is None else first
        known.add(digest)
    if first is None or 2 * count > rows:
        return ()
    line = next(iter(table.columns.values())).lines[first]
    verb = "row is" if count == 1 else "rows are"
    return (
        f"{count} of {rows} {verb} the same as an earlier one in every column, the first {table.place}:{line}; where "
        "that is one thing counted twice, remove them: copies in two parts of the data make metrics too good",
    )
