"""Showing a sweep while it runs: a live table of alternatives on a terminal, plain lines elsewhere."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import NamedTuple, Protocol

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from nnrun.report.live import duration

__all__ = ["Board", "Row", "Watcher", "watching"]

_REFRESH_SECONDS = 0.5
_PLAIN_SECONDS = 15.0


class Row(NamedTuple):
    """How far one alternative is."""

    label: str
    done: int
    trials: int
    best: str  # value ± interval of the best trial so far, "" before there is one
    lost: str  # what was stopped, diverged or failed, "" if nothing


class Board(NamedTuple):
    """What there is to show of a sweep."""

    name: str
    phase: str
    metric: str
    share: float  # of the work, 0 to 1
    rows: list[Row]


class Watcher(Protocol):
    """Takes what there is to show, as often as there is news."""

    def __call__(self, board: Board) -> None: ...


@contextlib.contextmanager
def watching(console: Console, quiet: bool) -> Iterator[Watcher]:
    """A function that shows a sweep: nothing if quiet, a live table on a terminal, plain lines elsewhere."""
    if quiet:
        yield lambda board: None
    elif console.file.isatty() and console.is_interactive:
        with Live(console=console, auto_refresh=False, transient=True) as live:
            yield _LiveView(live)
    else:
        yield _PlainLines(console)


class _Clock:
    """The time that is left, from the work done since this process began."""

    def __init__(self) -> None:
        self.first: tuple[float, float] | None = None

    def left(self, share: float) -> str:
        now = time.monotonic()
        if self.first is None:
            self.first = now, share
        spent, done = now - self.first[0], share - self.first[1]
        return f"{duration(spent * (1 - share) / done)} left" if done > 0 and spent > 2 else ""


class _PlainLines:
    def __init__(self, console: Console) -> None:
        self.console, self.clock, self.last = console, _Clock(), 0.0

    def __call__(self, board: Board) -> None:
        now = time.monotonic()
        left = self.clock.left(board.share)
        if now - self.last < _PLAIN_SECONDS:
            return
        self.last = now
        rows = "  ".join(f"{row.label} {row.done}/{row.trials} {row.best}".rstrip() for row in board.rows)
        line = f"{board.phase} {board.share:.0%}  {rows}  {left}".rstrip()
        self.console.print(line, soft_wrap=True, highlight=False, markup=False)


class _LiveView:
    def __init__(self, live: Live) -> None:
        self.live, self.clock, self.last, self.phase = live, _Clock(), 0.0, ""

    def __call__(self, board: Board) -> None:
        now = time.monotonic()
        left = self.clock.left(board.share)
        if now - self.last < _REFRESH_SECONDS and board.phase == self.phase:
            return
        self.last, self.phase = now, board.phase
        self.live.update(self._view(board, left), refresh=True)

    def _view(self, board: Board, left: str) -> Group:
        head = Table.grid(padding=(0, 1))
        bar = ProgressBar(total=1.0, completed=board.share, width=30)
        head.add_row(
            Text(board.name, "bold", no_wrap=True), bar, Text(f"{board.phase}  {left}", "dim", no_wrap=True)
        )
        table = Table(box=None, padding=(0, 2), header_style="dim")
        for title, side in (
            ("", "left"),
            ("trials", "right"),
            (f"best {board.metric}", "left"),
            ("", "left"),
        ):
            table.add_column(title, justify=side, no_wrap=True)  # type: ignore[arg-type]
        for row in board.rows:
            table.add_row(Text(row.label), f"{row.done}/{row.trials}", row.best, Text(row.lost, "dim"))
        return Group(head, table)
