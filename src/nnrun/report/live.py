"""Showing what is under way on stderr: a live view on a terminal, plain lines elsewhere, nothing if quiet.

    with watching(console, quiet, RunView()) as watch:
        for news in ...:
            watch(news)

What is drawn of a run is in `run_view`, of a sweep in `sweep.live`; when it is drawn is decided here.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple, Protocol, TypeVar

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from nnrun.amounts import way

__all__ = ["Heading", "Pace", "View", "duration", "sparkline", "watching"]

_BARS = "▁▂▃▄▅▆▇█"
_REFRESH_SECONDS = 0.5
_BAR, _SHORTEST_BAR = 30, 10  # columns


class _News(Protocol):
    @property
    def phase(self) -> str: ...


News = TypeVar("News", bound=_News, contravariant=True)


class View(Protocol[News]):
    """How a run or a sweep is shown.  Each has a view of its own, which may remember what it has shown."""

    def notice(self, news: News) -> None:
        """Takes in all news, also those that are not shown."""
        ...

    def drawing(self, news: News, width: int) -> RenderableType:
        """What stands on a terminal of this width."""
        ...

    def history(self, news: News) -> str:
        """A line that stays on a terminal above the drawing; "" where none is due."""
        ...

    def is_due(self, news: News, seconds: float) -> bool:
        """Whether a plain line is due, this many seconds after the one before or after the beginning."""
        ...

    def line(self, news: News) -> str:
        """The plain line."""
        ...


@contextlib.contextmanager
def watching(console: Console, quiet: bool, view: View[News]) -> Iterator[Callable[[News], None]]:
    """A function that takes what there is to show, as often as there is news."""
    if quiet:
        yield lambda news: None
    elif console.file.isatty() and console.is_interactive:  # rich takes FORCE_COLOR for a terminal
        with Live(console=console, auto_refresh=False, transient=True) as live:
            yield _Drawings(live, view).show
    else:
        yield _Lines(console, view).show


class _Drawings:
    """Draws twice a second, and where a phase begins; what the view keeps stays above the drawing."""

    def __init__(self, live: Live, view: View) -> None:
        self.live, self.view = live, view
        self.last, self.phase = -math.inf, ""

    def show(self, news: _News) -> None:
        self.view.notice(news)
        now = time.monotonic()
        if now - self.last < _REFRESH_SECONDS and news.phase == self.phase:
            return
        self.last, self.phase = now, news.phase
        if kept := self.view.history(news):
            self.live.console.print(Text(kept, "dim"), highlight=False)
        self.live.update(self.view.drawing(news, self.live.console.width), refresh=True)


class _Lines:
    """Prints a line where the view has one that is due."""

    def __init__(self, console: Console, view: View) -> None:
        self.console, self.view = console, view
        self.last = time.monotonic()

    def show(self, news: _News) -> None:
        self.view.notice(news)
        now = time.monotonic()
        if self.view.is_due(news, now - self.last):
            self.last = now
            self.console.print(self.view.line(news), soft_wrap=True, highlight=False, markup=False)


class Pace:
    """How fast work is done, counted from the first call: a run that continues has done some before."""

    def __init__(self) -> None:
        self._first: tuple[float, float] | None = None

    def __call__(self, done: float) -> tuple[float, float]:
        """Seconds since the first call, and work per second in them; 0 before there is a second call."""
        now = time.monotonic()
        if self._first is None:
            self._first = now, done
        begin, before = self._first
        spent = now - begin
        return spent, (done - before) / spent if spent > 0 else 0.0


class Heading(NamedTuple):
    """The first row of a drawing: a name, a bar of how much of the whole is done, and a text.

    The text has numbers and is never cut: where there is too little room it stands in a line of its own.
    """

    name: str
    done: float
    whole: float
    text: str

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        beside = options.max_width - cell_len(self.name) - cell_len(self.text) - 2
        bar_width = beside if beside >= _SHORTEST_BAR else options.max_width - cell_len(self.name) - 1
        name, text = Text(self.name, "bold", no_wrap=True, overflow="ellipsis"), Text(self.text, "dim")
        bar = ProgressBar(
            total=self.whole, completed=self.done, width=max(_SHORTEST_BAR, min(_BAR, bar_width))
        )
        row = Table.grid(padding=(0, 1))
        row.add_row(name, bar, *[text] * (beside >= _SHORTEST_BAR))
        yield row
        if beside < _SHORTEST_BAR and self.text:
            yield text


def sparkline(values: list[float], width: int = 40) -> str:
    """The course of some numbers as a row of bars, the newest at the right."""
    finite = [value for value in values if value == value and abs(value) != float("inf")]
    if not finite:
        return ""
    picked = finite
    if (
        len(finite) > width
    ):  # evenly from the first to the last, so that curves of one run lie above each other
        picked = [finite[round(i * (len(finite) - 1) / max(width - 1, 1))] for i in range(width)]
    low, high = min(picked), max(picked)
    shares = [way(value, low, high) if high > low else 0.0 for value in picked]
    return "".join(_BARS[round((len(_BARS) - 1) * share)] for share in shares)


def duration(seconds: float) -> str:
    """A time as 1:23 or 1:02:03."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
