"""Every error that nnrun raises on purpose, and the exit code of each.

    NnrunError             1  a bug in nnrun (anything that is not one of the classes below)
    ├── SpecError          2  bad command line or spec
    ├── DataError          3  bad data or download
    ├── RunError           4  bad, locked or newer run folder or checkpoint
    ├── DivergedError      5  training diverged
    ├── MachineError       6  the machine: disk, memory, permission, no such device
    └── Interrupted        130 SIGINT, 143 SIGTERM, 129 SIGHUP

A sweep that has finished, but not all of whose trials could train, ends with 7: that is no error, its answer is
there.
A message is one line (or one line per problem): the place, the value, what is allowed, the remedy.
"""

from __future__ import annotations

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
    "first_line",
    "one_line",
]

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


def one_line(text: object, limit: int = 300) -> str:
    """`text` on one line of at most `limit` characters, control characters escaped.

    What comes from a file or a shell must not move the cursor or colour the terminal.
    """
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(text))
    return shown if len(shown) <= limit else shown[: limit - 1] + "…"


def first_line(error: BaseException) -> str:
    """The first line of what an error says; other libraries continue with advice to programmers."""
    return str(error).strip().partition("\n")[0]
