"""What `nnrun check` found, for a terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Protocol

from rich.table import Table
from rich.text import Text

__all__ = ["findings_table", "verdict_line"]

_STYLES = {"pass": "green", "warn": "yellow", "fail": "bold red", "skip": "dim"}


class _Finding(Protocol):
    @property
    def check(self) -> str: ...
    @property
    def verdict(self) -> str: ...
    @property
    def evidence(self) -> str: ...
    @property
    def remedy(self) -> str: ...


def findings_table(made: Sequence[_Finding]) -> Table:
    """A row for each check: verdict, name, and evidence with the remedy below."""
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for finding in made:
        words = Text(finding.evidence)
        if finding.remedy:
            words.append(f"\n→ {finding.remedy}", "bold")
        table.add_row(Text(finding.verdict, _STYLES[finding.verdict]), Text(finding.check), words)
    return table


def verdict_line(made: Sequence[_Finding]) -> str:
    """How many checks there were of each verdict."""
    counts = Counter(finding.verdict for finding in made)
    return ", ".join(_counted(counts))


def _counted(counts: Counter[str]) -> Iterator[str]:
    words = {"fail": "failed", "warn": "to look at", "pass": "passed", "skip": "not made"}
    for verdict, text in words.items():
        if counts[verdict]:
            yield f"{counts[verdict]} {text}"
