"""What a cell of a table looks like that is not a plain number: missing, or a number written for people."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

from nnrun.errors import odd_character

__all__ = ["alike", "is_missing", "odd_number", "oddity"]

# How programs write that there is no value; compared in lower case.  "none" is the name of too many categories.
_MISSING = frozenset(["na", "n/a", "n.a.", "#n/a", "<na>", "nan", "null", "nil", "missing", "?", "-", "--"])
_DATE = "is a date; write it as a number, such as days since the first"
_GAPS = " '’\u00a0\u202f"
_THOUSANDS = ",. '"  # of those that data.thousands takes
_COMMAS = "data.decimal: ',' for the table"
_NUMBERS = (
    (r"[+-]?[1-9]\d{0,2}(,\d{3})+(\.\d+)?", "has commas between its thousands; write {plain}", ","),
    (rf"[+-]?\d{{1,3}}([{_GAPS}]\d{{3}})+([.,]\d+)?", "has gaps between its thousands; write {plain}", _GAPS),
    (r"[+-]?\d{1,3}(\.\d{3})+,\d+", "has points between its thousands and a decimal comma; write {plain}", "."),
    (r"[+-]?\d*,\d+([eE][+-]?\d+)?", "has a decimal comma; write {plain}", ""),
    (r"[+-]?\d+([.,]\d+)?\s*%", "is a percentage; write the number alone", ""),
    (r"[€$£¥]\s*[+-]?[\d.,]+|[+-]?[\d.,]+\s*[€$£¥]", "has a currency sign; write the number alone", ""),
    (r"\d{4}-\d{1,2}-\d{1,2}([ T][\d:.]+Z?)?", _DATE, ""),
    (r"\d{1,2}[./]\d{1,2}[./](\d{4}|\d{2})", _DATE, ""),
    (r"\d{1,2}:\d{2}(:\d{2})?", "is a time of day; write it as a number, such as minutes", ""),
)  # fmt: skip


def is_missing(cell: str) -> bool:
    """Whether a cell says that there is no value: empty, NA, null, ? and the like."""
    return not cell or cell.lower() in _MISSING


def alike(names: Iterable[str]) -> list[tuple[str, str]]:
    """Pairs of different names that look the same, the first of each the one without odd characters.

    They differ in characters that cannot be seen, in kinds of blanks, or in how a letter with an accent is written.
    """
    by_look: dict[str, list[str]] = {}
    for name in dict.fromkeys(names):
        visible = "".join(c for c in unicodedata.normalize("NFKC", name) if unicodedata.category(c) != "Cf")
        by_look.setdefault(" ".join(visible.split()), []).append(name)
    pairs = []
    for look, same in by_look.items():
        plain = look if look in same else same[0]
        pairs += [(plain, name) for name in same if name != plain]
    return pairs


def oddity(name: str) -> str:
    """What the second of two names that are `alike` contains, in words."""
    return odd_character(name) or "another way to write a blank or an accent"


def _option(remark: str, drop: str, cell: str, decimal: str, thousands: str) -> str:
    """What the spec may say so that such cells are read as they are; "" where it cannot."""
    if remark.startswith("has a decimal comma"):
        return "" if thousands == "," else f", or {_COMMAS}"
    between = next((character for character in cell if character in drop), "")
    fraction = {",": ".", ".": ","}.get(between, decimal)  # what then stands before fractions
    if not between or thousands or between not in _THOUSANDS:
        return ""
    return f', or, of a CSV file, data.thousands: "{between}"' + (
        "" if fraction == decimal else f", data.decimal: '{fraction}'"
    )


def odd_number(cell: str, decimal: str = ".", trained: bool = False, thousands: str = "") -> str | None:
    """What is odd about a number or date that a program cannot read, with the remedy; None: it looks like neither.

    decimal   what numbers of the table have before their fractions
    trained   whether a run has that already, so that the table must follow
    thousands   what numbers of the table have between their thousands
    """
    if decimal == "," and re.fullmatch(r"[+-]?\d*\.\d+([eE][+-]?\d+)?", cell):
        remedy = "write a comma, as in training" if trained else "write a comma, or leave data.decimal out"
        if re.fullmatch(r"[+-]?[1-9]\d{0,2}\.\d{3}", cell) and not (trained or thousands):
            remedy += ', or, of a CSV file where it stands between thousands, data.thousands: "."'
        return f"has a decimal point, and data.decimal is ','; {remedy}"
    for pattern, remark, drop in _NUMBERS:
        if re.fullmatch(pattern, cell):
            plain = "".join(c for c in cell if c not in drop).replace(",", ".")
            remark = remark.format(plain=plain if decimal == "." else plain.replace(".", ","))
            return remark + ("" if trained else _option(remark, drop, cell, decimal, thousands))
    character = odd_character(cell)
    if character and any(c.isdecimal() for c in cell):
        return f"contains {character}"
    return None
