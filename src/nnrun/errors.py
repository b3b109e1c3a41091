"""Every error that nnrun raises on purpose, and the exit code of each.

    NnrunError             1  a bug in nnrun (anything that is not one of the classes below)
    ├── SpecError          2  bad command line or spec
    ├── DataError          3  bad data or download
    ├── RunError           4  bad, locked or newer run folder or checkpoint
    ├── DivergedError      5  training diverged
    ├── MachineError       6  the machine: disk, memory, permission, no such device
    └── Interrupted        130 SIGINT, 143 SIGTERM, 129 SIGHUP

`nnrun check` ends with 5 where a check fails.
What has finished, but not in full, ends with 7: a sweep not all of whose trials could train, a run that was trained
again with another result.  That is no error, its answer is there.
A message is one line (or one line per problem): the place, the value, what is allowed, the remedy.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable

__all__ = [
    "DataError",
    "DivergedError",
    "Interrupted",
    "MachineError",
    "NnrunError",
    "RunError",
    "SpecError",
    "Warn",
    "counted",
    "first_line",
    "odd_character",
    "one_line",
    "remark",
    "size_text",
]

# What word processors and web pages make of plain characters.
_LOOKALIKE = {
    "\u2212": "a minus sign of typesetters (U+2212); write -",
    "\u2013": "an en dash (U+2013); write -",
    "\u2014": "an em dash (U+2014); write -",
    "\u00a0": "a space that does not break lines (U+00A0); write a space or nothing",
    "\u202f": "a narrow space (U+202F); write nothing",
    "\u201c": "a curly quote (U+201C); write nothing or \"",
    "\u201d": "a curly quote (U+201D); write nothing or \"",
    "\u2018": "a curly quote (U+2018); write nothing or '",
    "\u2019": "a curly quote (U+2019); write nothing or '",
}  # fmt: skip

Warn = Callable[[str], None]  # is given each warning, one line


class NnrunError(Exception):
    """Base of all errors that nnrun raises on purpose."""

    exit_code = 1


class SpecError(NnrunError):
    """The command line or the spec is wrong; `problems` holds one line for each mistake."""

    exit_code = 2

    def __init__(self, *problems: str) -> None:
        self.problems = problems
        super().__init__("\n".join(problems))


class DataError(NnrunError):
    """A data file or a download is missing, damaged or holds values that cannot be trained on."""

    exit_code = 3


class RunError(NnrunError):
    """A run folder or checkpoint is missing, damaged, locked, or written by a newer nnrun."""

    exit_code = 4


class DivergedError(NnrunError):
    """The loss of a run became infinite or NaN."""

    exit_code = 5


class MachineError(NnrunError):
    """The machine cannot do it: disk full, memory, permission, no such device."""

    exit_code = 6


class Interrupted(NnrunError):
    """SIGINT, SIGTERM or SIGHUP arrived; what there was to save is saved."""

    def __init__(self, signum: int, message: str = "interrupted") -> None:
        self.signum = signum
        self.exit_code = 128 + signum
        super().__init__(message)


def counted(number: int, what: str, form: str = "") -> str:
    """`1 example`, `5 examples`; with "," as the form `1,000 steps`."""
    return f"{number:{form}} {what}{'' if number == 1 else 's'}"


def one_line(text: object, limit: int = 300) -> str:
    """`text` on one line of at most `limit` characters, control characters escaped.

    What comes from a file or a shell must not move the cursor or colour the terminal.
    """
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(text))
    return shown if len(shown) <= limit else shown[: limit - 1] + "…"


def first_line(error: BaseException) -> str:
    """The first line of what an error says; other libraries continue with advice to programmers."""
    return str(error).strip().partition("\n")[0]


def odd_character(text: str) -> str | None:
    """The first character that looks like another or cannot be seen, in words; None where there is none."""
    for c in text:
        if c in _LOOKALIKE:
            return _LOOKALIKE[c]
        if unicodedata.category(c) == "Cf":
            return f"a character that cannot be seen (U+{ord(c):04X}); remove it"
        if c.isdecimal() and not c.isascii():
            return f"the digit {c} (U+{ord(c):04X}); write {unicodedata.decimal(c)}"
        if "\uff01" <= c <= "\uff5e":
            return f"the wide character {c} (U+{ord(c):04X}); write {unicodedata.normalize('NFKC', c)}"
    return None


def remark(text: object) -> str:
    """The first odd character of a text as a part of a message, `it contains ...; `; "" where there is none."""
    character = odd_character(text) if isinstance(text, str) else None
    return f"it contains {character}; " if character else ""


def size_text(count: float) -> str:
    """So many bytes in three digits: `0 B`, `12.3 kB`, `1.05 GB`, `1,230 TB`."""
    for unit, size in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= 0.9995 * size:
            shown = float(f"{count / size:.3g}")
            return f"{shown:,.0f} {unit}" if shown >= 1000 else f"{shown:.3g} {unit}"
    return f"{count:.0f} B"
