"""Of which kind a column of a table is, and why: what people are shown, and what is refused until they have chosen."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from nnrun.data._cells import odd_number
from nnrun.data._column import Column, canonical
from nnrun.data._dates import is_date
from nnrun.data._of_run import is_input_of_run
from nnrun.data._spellings import groups_of_names, note_of_groups
from nnrun.errors import one_line

__all__ = ["ColumnKind", "in_case", "in_number", "kind_of", "note_of", "unsettled_in"]

_ENOUGH = 20  # values that are all different make an identifier; of fewer, nothing follows
_WORDS = 4  # on average in a cell of free text
_ZERO_FIRST = re.compile(r"0[0-9]+")
_WHOLE = re.compile(r"[+-]?[0-9]+")
_REPEATED = 0.9  # of the cells of an identifier are different, where rows are there twice
# customer_id, ID, PassengerId, uuid, Nr., KundenNr, order_no, Kundennummer, "Unnamed: 0" of pandas; not humid, not
# number_of_calls, not piano
_IDENTIFIER = re.compile(
    r"(?i:(^|[\W_])(id|uuid|guid|rowid|index)([\W_]|$))|(?<=[a-z])(Id|ID)$"
    r"|(?i:([\W_](nr|no)|\w(nummer))\.?$)|(?<=[a-z])(Nr|No|NR|NO)\.?$"
    r"|(?i:^(nr|no|num|number|nummer|row|rownum|key|pk|unnamed: ?\d+|#)\.?$)"
)
_DIGITS = 16  # whole numbers of fewer are exact in float64
_COUNTS = "counts the rows of the file; leave it out (data.exclude) unless their order means something"


class ColumnKind(NamedTuple):
    """What a column holds.

    name   number, category, date, identifier, text, constant, or empty
    odd    the first row whose cell is no number, None: there is none
    """

    name: str
    why: str
    odd: int | None = None


def kind_of(column: Column) -> ColumnKind:
    """The kind of a column, from its name and cells alone."""
    filled = [cell for cell in column.cells if not column.is_missing(cell)]
    if not filled:
        return ColumnKind("empty", "no cell has a value", 0)
    distinct = set(filled)
    numeric = {cell for cell in distinct if column.number(cell) is not None}
    odd = None
    if len(numeric) < len(distinct):
        bad = distinct - numeric
        odd = next(row for row, cell in enumerate(column.cells) if cell in bad)
    if len(distinct) == 1:
        return ColumnKind("constant", f"every value is {one_line(filled[0], 40)}", odd)
    if 2 * sum(cell in numeric for cell in filled) >= len(filled):
        telling = len(filled) >= _ENOUGH and len(distinct) >= _REPEATED * len(filled)
        if (
            telling
            and odd is None
            and _IDENTIFIER.search(column.name)
            and all(_WHOLE.fullmatch(column.plain(cell)) for cell in filled)
        ):
            return ColumnKind("identifier", f"its name, and {_once(distinct, filled, 'whole numbers')}")
        return ColumnKind(
            "number", f"{len({_as_number(column, name) for name in distinct})} different numbers", odd
        )
    return _of_text(column, filled, distinct, odd)


def _of_text(column: Column, filled: Sequence[str], distinct: set[str], odd: int | None) -> ColumnKind:
    if 2 * sum(map(is_date, filled)) >= len(filled):
        return ColumnKind("date", f"such as {one_line(filled[0], 40)}", odd)
    if 2 * sum(odd_number(cell, column.decimal) is not None for cell in filled) >= len(filled):
        return ColumnKind("number", "in a form that only people can read", odd)
    words = sum(len(cell.split()) for cell in filled) / len(filled)
    if words >= _WORDS and 2 * len(distinct) > len(filled):
        return ColumnKind("text", f"{words:.0f} words in a cell", odd)
    if len(filled) >= _ENOUGH and len(distinct) >= _REPEATED * len(filled):
        return ColumnKind("identifier", _once(distinct, filled, "values"), odd)
    return ColumnKind("category", f"{len(distinct)} different names", odd)


def _once(distinct: set[str], filled: Sequence[str], what: str) -> str:
    if len(distinct) == len(filled):
        return f"each of its {len(filled)} {what} occurs once"
    return f"{len(distinct)} of its {len(filled)} {what} are different"


def _counts_the_rows(column: Column) -> bool:
    """Whether each cell is the whole number after that of the row before, as 0, 1, 2, ... or 10001, 10002, ..."""
    count, beginning = len(column.cells), column.cells[0]
    if count < _ENOUGH or not (beginning.isascii() and beginning.isdecimal() and len(beginning) < _DIGITS):
        return False
    first = int(beginning)
    return list(column.cells) == [str(i) for i in range(first, first + count)]


def note_of(column: Column, kind: ColumnKind, is_category: bool) -> str:
    """What deserves a look: cells that say nothing, names that differ in case or blanks only."""
    notes = ["says nothing: constant"] if kind.name == "constant" else []
    notes += [_COUNTS] if not is_category and _counts_the_rows(column) else []
    missing = sum(map(column.is_missing, column.cells))
    notes += [f"{missing} of {len(column.cells)} cells are missing"] if missing else []
    notes += _codes(column) if kind.name == "number" and not is_category else []
    if is_category:
        names = sorted(set(column.cells))
        notes += in_case(names)
        notes += in_number(column, names)
        notes += ["names that differ in surrounding blanks only are taken as one"] if column.padded else []
    return "; ".join(notes)


def _codes(column: Column) -> list[str]:
    """Notes on numbers that look like codes: postcodes that begin with 0, keys of more digits than float64 has."""
    filled = [cell for cell in column.cells if not column.is_missing(cell)]
    notes = []
    if padded := next((cell for cell in filled if _ZERO_FIRST.fullmatch(cell)), None):
        notes.append(
            f"cells such as '{padded}' are taken as numbers; for codes write data.categorical or data.exclude"
        )
    whole = [cell for cell in filled if len(cell) >= _DIGITS and _WHOLE.fullmatch(cell)]
    if coarse := next((cell for cell in whole if int(float(cell)) != int(cell)), None):
        notes.append(f"whole numbers such as {coarse} have more digits than float64, which rounds them")
    return notes


def in_case(names: Sequence[str]) -> list[str]:
    """A note on the names that differ in case only, all of them; [] where there are none."""
    groups = groups_of_names(names, str.lower)
    return note_of_groups(
        groups, "differ in case only, and are two", "names that differ in case only, and are several"
    )


def in_number(column: Column, names: Sequence[str]) -> list[str]:
    """The same of those that are one number."""
    groups = groups_of_names(names, lambda name: _as_number(column, name))
    return note_of_groups(
        groups, "are one number, and two names", "names that are one number, and several names"
    )


def _as_number(column: Column, name: str) -> str:
    """A name that is a number in the one way to write that; any other as it is."""
    value = column.number(name)
    return name if value is None or not math.isfinite(value) else canonical(name, value)


def unsettled_in(
    kinds: Mapping[str, ColumnKind], chosen: Collection[str], named: bool
) -> dict[str, ColumnKind]:
    """The features that are no numbers, of which the spec does not say what to do with them.

    kinds    of the features
    chosen   those that the spec lists as categories or dates
    named    whether data.features lists the features, so that identifiers among them are meant
    """
    return {
        name: kind
        for name, kind in kinds.items()
        if name not in chosen and _needs_a_word(kind, named or is_input_of_run(name))
    }


def _needs_a_word(kind: ColumnKind, named: bool) -> bool:
    if kind.name == "identifier" and kind.odd is None:
        return not named
    return kind.name in ("category", "date", "identifier", "text", "empty") or (
        kind.name == "constant" and kind.odd is not None
    )
