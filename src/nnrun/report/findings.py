"""What `nnrun check` found, for a terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Protocol

from rich.console import Group
from rich.text import Text

from nnrun.report.lines import Labelled

__all__ = ["findings_table", "verdict_line"]

_STYLES = {"pass": "green", "warn": "yellow", "fail": "bold red", "skip": "dim"}
_VERDICT = 4  # characters of a verdict


class _Finding(Protocol):
    @property
    def check(self) -> str: ...
    @property
    def verdict(self) -> str: ...
    @property
    def evidence(self) -> str: ...
    @property
    def remedy(self) -> str: ...


def findings_table(made: Sequence[_Finding]) -> Group:
    """The checks one after another: verdict, name, and evidence with the remedy below."""
    width = max((len(finding.check) for finding in made), default=0)
    return Group(*(_lines(finding, width) for finding in made))


def _lines(finding: _Finding, width: int) -> Labelled:
    style, verdict = _STYLES[finding.verdict], f"{finding.verdict:{_VERDICT}}"
    label = Text.assemble((verdict, style), f"  {finding.check}")
    remedy = f"→ {finding.remedy}" if finding.remedy else ""
    return Labelled(label, finding.evidence, _VERDICT + 2 + width + 2, remedy)


def verdict_line(made: Sequence[_Finding]) -> str:
    """How many checks there were of each verdict."""
    counts = Counter(finding.verdict for finding in made)
    return ", ".join(_counted(counts))


def _counted(counts: Counter[str]) -> Iterator[str]:
    words = {"fail": "failed", "warn": "to look at", "pass": "passed", "skip": "not made"}
    for verdict, text in words.items():
        if counts[verdict]:
            yield f"{counts[verdict]} {text}"
