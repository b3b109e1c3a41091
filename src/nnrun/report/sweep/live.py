"""How a sweep is shown while it runs: a table of the alternatives."""

from __future__ import annotations

from typing import NamedTuple

from rich.console import Group, RenderableType
from rich.text import Text

from nnrun.report.live import Heading, Pace, duration
from nnrun.report.sheet import sheet_of

__all__ = ["ArmProgress", "SweepProgress", "SweepView"]

_PLAIN_SECONDS = 15.0  # between plain lines
_SURE_SECONDS = 2.0  # before this the time that is left is a guess


class ArmProgress(NamedTuple):
    """How far one alternative is."""

    label: str
    done: int
    trials: int
    best: str  # value ± interval of the best trial so far, "" before there is one
    lost: str  # what was stopped, diverged or failed, "" if nothing


class SweepProgress(NamedTuple):
    """What there is to show of a sweep."""

    name: str
    phase: str
    metric: str
    share: float  # of the work, 0 to 1
    rows: list[ArmProgress]


class SweepView:
    """The progress, the time that is left, and how far each alternative is."""

    def __init__(self) -> None:
        self._pace = Pace()
        self._left = ""
        self._has_line = False

    def notice(self, news: SweepProgress) -> None:
        """Takes in how much is done."""
        spent, rate = self._pace(news.share)
        is_known = rate > 0 and spent > _SURE_SECONDS
        self._left = f"{duration((1 - news.share) / rate)} left" if is_known else ""

    def history(self, news: SweepProgress) -> str:
        """Nothing: the table has all alternatives, and the answer comes at the end."""
        del news
        return ""

    def is_due(self, news: SweepProgress, seconds: float) -> bool:
        """At the beginning, and a quarter of a minute after the line before."""
        del news
        return not self._has_line or seconds >= _PLAIN_SECONDS

    def line(self, news: SweepProgress) -> str:
        """How much is done, and the best of each alternative."""
        self._has_line = True
        rows = "  ".join(f"{row.label} {row.done}/{row.trials} {row.best}".rstrip() for row in news.rows)
        return f"{news.phase} {news.share:.0%}  {rows}  {self._left}".rstrip()

    def drawing(self, news: SweepProgress, width: int) -> RenderableType:
        """All there is."""
        del width
        rows = [(row.label, f"{row.done}/{row.trials}", row.best, Text(row.lost, "dim")) for row in news.rows]
        head = ("alternative", "trials", f"best {news.metric}", "lost")
        table = sheet_of(
            head if any(row.lost for row in news.rows) else head[:-1],
            rows,
            ("name", "number", "name", "words"),
        )
        return Group(Heading(news.name, news.share, 1.0, f"{news.phase}  {self._left}"), table)
