"""Showing a run while it trains: a live view on a terminal, plain lines elsewhere."""

from __future__ import annotations

import contextlib
import time
from collections import deque
from collections.abc import Iterator
from typing import NamedTuple, Protocol

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

__all__ = ["Shown", "Watcher", "duration", "sparkline", "watching"]

_BARS = "▁▂▃▄▅▆▇█"
_LAST = ("grad", "learning", "update")  # what is about the optimizer is shown below the rest
_REFRESH_SECONDS = 0.5
_PLAIN_SHARE = 0.05  # a plain line at least this share of the run after the one before
_PLAIN_SECONDS = 30.0  # or this long after it


class Shown(NamedTuple):
    """What there is to show of a run."""

    name: str
    phase: str
    step: int
    steps: int
    epoch: float
    epochs: float
    runs: str  # "" for one run, else how many are live
    metrics: dict[str, float]
    best: str


class Watcher(Protocol):
    """Takes what there is to show, as often as there is news."""

    def __call__(self, shown: Shown) -> None: ...


@contextlib.contextmanager
def watching(console: Console, quiet: bool) -> Iterator[Watcher]:
    """A function that shows a run: nothing if quiet, a live view on a terminal, plain lines elsewhere."""
    if quiet:
        yield lambda shown: None
    elif console.file.isatty() and console.is_interactive:  # rich takes FORCE_COLOR for a terminal
        with Live(console=console, auto_refresh=False, transient=True) as live:
            yield _LiveView(live)
    else:
        yield _PlainLines(console)


def sparkline(values: list[float], width: int = 40) -> str:
    """The course of some numbers as a row of bars, the newest at the right."""
    finite = [value for value in values if value == value and abs(value) != float("inf")]
    if not finite:
        return ""
    stride = max(1, -(-len(finite) // width))
    picked = finite[::-stride][::-1]
    low, high = min(picked), max(picked)
    scale = (len(_BARS) - 1) / (high - low) if high > low else 0.0
    return "".join(_BARS[round((value - low) * scale)] for value in picked)


class _Rate:
    """Steps per second since this process began to train."""

    def __init__(self) -> None:
        self.first: tuple[float, int] | None = None

    def __call__(self, shown: Shown) -> tuple[float, float]:
        """Steps per second and seconds to go; 0 before training."""
        if shown.phase == "compiling":  # neither its time nor the step of a checkpoint is speed
            return 0.0, 0.0
        now = time.monotonic()
        if self.first is None:
            self.first = now, shown.step
        spent, done = now - self.first[0], shown.step - self.first[1]
        rate = done / spent if spent > 0 else 0.0
        return rate, (shown.steps - shown.step) / rate if rate else 0.0


class _PlainLines:
    def __init__(self, console: Console) -> None:
        self.console, self.rate = console, _Rate()
        self.last_step, self.last_time = 0, time.monotonic()

    def __call__(self, shown: Shown) -> None:
        _, left = self.rate(shown)
        if shown.phase != "training":
            return
        now = time.monotonic()
        share = (shown.step - self.last_step) / shown.steps if shown.metrics else 0.0
        if share < _PLAIN_SHARE and now - self.last_time < _PLAIN_SECONDS and shown.step < shown.steps:
            return
        self.last_step, self.last_time = shown.step, now
        numbers = "  ".join(f"{name} {value:.4g}" for name, value in _main(shown.metrics).items())
        line = f"epoch {shown.epoch:.4g}/{shown.epochs:.4g}  step {shown.step}/{shown.steps}  {numbers}"
        self.console.print(f"{line}  {duration(left)} left", soft_wrap=True, highlight=False, markup=False)


class _LiveView:
    def __init__(self, live: Live) -> None:
        self.live, self.rate = live, _Rate()
        self.losses: deque[float] = deque(maxlen=2000)
        self.last = 0.0

    def __call__(self, shown: Shown) -> None:
        if "train/loss" in shown.metrics and shown.phase == "training":
            self.losses.append(shown.metrics["train/loss"])
        rate, left = self.rate(shown)
        now = time.monotonic()
        if now - self.last < _REFRESH_SECONDS and shown.phase == "training":
            return
        self.last = now if shown.phase == "training" else self.last
        self.live.update(self._view(shown, rate, left), refresh=True)

    def _view(self, shown: Shown, rate: float, left: float) -> Group:
        bar = ProgressBar(total=shown.steps, completed=shown.step, width=30)
        going = rate and shown.phase == "training"
        speed = f"{rate:.{0 if rate >= 10 else 2}f} steps/s  {duration(left)} left" if going else shown.phase
        head = Table.grid(padding=(0, 1))
        head.add_row(Text(shown.name, "bold", no_wrap=True), bar, Text(speed, "dim", no_wrap=True))
        where = f"epoch {shown.epoch:.1f}/{shown.epochs:.4g}  step {shown.step}/{shown.steps}  {shown.runs}"
        numbers = Table.grid(padding=(0, 2))
        for name, value in sorted(
            shown.metrics.items(), key=lambda item: (*map(item[0].startswith, _LAST), item[0])
        ):
            numbers.add_row(Text(name, "dim"), f"{value:.5g}")
        rows: list[RenderableType] = [head, Text(where, no_wrap=True), numbers]
        width = min(60, self.live.console.width - len("train/loss "))
        if self.losses and width > 0:
            rows.append(Text.assemble(("train/loss ", "dim"), (sparkline(list(self.losses), width), "green")))
        if shown.best:
            rows.append(Text.assemble(("best ", "dim"), shown.best))
        return Group(*rows)


def _main(metrics: dict[str, float]) -> dict[str, float]:
    """The metrics of data, without those of the optimizer."""
    return {name: value for name, value in metrics.items() if name.startswith(("train/", "val/"))}


def duration(seconds: float) -> str:
    """A time as 1:23 or 1:02:03."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
