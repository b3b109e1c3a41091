"""What a check says: a verdict, the numbers behind it, and what to do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

from typing_extensions import TypedDict

from nnrun.errors import one_line

__all__ = ["CheckReport", "Finding", "FindingEntry", "Verdict", "graded", "some_of", "worst"]

Verdict = Literal["pass", "warn", "fail", "skip"]

_ORDER: tuple[Verdict, ...] = ("skip", "pass", "warn", "fail")
_SHOWN = 4  # names in a line


class Finding(NamedTuple):
    """The answer of one check.

    check     its name
    verdict   skip: it does not apply, or could not be made
    evidence  what was seen, with numbers, in words
    remedy    what to do; "" where nothing needs doing
    numbers   the same for programs
    """

    check: str
    verdict: Verdict
    evidence: str
    remedy: str = ""
    numbers: Mapping[str, float | int | None] = {}


class FindingEntry(TypedDict):
    """A finding for programs; null where a number is not finite."""

    check: str
    verdict: Verdict
    evidence: str
    remedy: str
    numbers: Mapping[str, float | int | None]


class CheckReport(TypedDict):
    """All findings, and the most serious verdict of them."""

    verdict: Verdict
    checks: list[FindingEntry]


def worst(verdicts: list[Verdict]) -> Verdict:
    """The most serious of several."""
    ordered = sorted(verdicts, key=_ORDER.index)
    return ordered[-1] if ordered else "skip"


def graded(value: float, warn: float, fail: float) -> Verdict:
    """The verdict on a value of which less is better: fail above one limit, warn above the other."""
    if value > fail:
        return "fail"
    if value > warn:
        return "warn"
    return "pass"


def some_of(names: list[str]) -> str:
    """The first few names, and how many there are besides."""
    rest = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return one_line(", ".join(names[:_SHOWN]), 100) + rest
