"""How a run is shown while it trains."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from nnrun.amounts import figure
from nnrun.report.live import Heading, Pace, duration, sparkline
from nnrun.report.values import number
from nnrun.statistics.metric import Bounds, metric_of, target_of, without_targets

__all__ = ["RunView", "Shown"]

_LAST = ("grad", "learning", "update")  # what is about the optimizer is shown below the rest
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
    fold: str = ""  # which of a cross-validation it is
    compiled_in: float | None = None  # seconds, last time, while it compiles; None: not known
    bounds: Mapping[str, Bounds] = MappingProxyType({})  # the least and the most that metrics can be

    def text(self, name: str, digits: int = 4) -> str:
        """The newest value of a metric: this many digits of what is no share."""
        value, metric = self.metrics[name], metric_of(name, (), self.bounds)
        return figure(value, digits) if math.isfinite(value) and not metric.share else number(value, metric)


class RunView:
    """The progress, the speed, the latest metrics and the course of the loss."""

    def __init__(self) -> None:
        self._begin("")

    def _begin(self, fold: str) -> None:
        self._fold = fold  # what is shown
        self._pace = Pace()
        self._rate = 0.0  # steps per second; 0 before training
        self._losses: deque[float] = deque(maxlen=2000)
        self._last_step = 0  # of the plain line before, or of that in the history

    def notice(self, news: Shown) -> None:
        """Takes in the step and the loss; with another fold it starts over."""
        if news.fold != self._fold:
            self._begin(news.fold)
        if news.phase != "compiling":  # neither its time nor the step of a checkpoint is speed
            _, self._rate = self._pace(news.step)
        if "train/loss" in news.metrics and news.phase == "training":
            self._losses.append(news.metrics["train/loss"])

    def is_due(self, news: Shown, seconds: float) -> bool:
        """While it trains: a twentieth of the run or half a minute after the line before, and at the end.

        Of a fold, of which there are several: half a minute after, and at the end.
        """
        share = (news.step - self._last_step) / news.steps if news.metrics and not news.fold else 0.0
        is_far = share >= _PLAIN_SHARE or seconds >= _PLAIN_SECONDS or news.step >= news.steps
        return news.phase == "training" and is_far

    def history(self, news: Shown) -> str:
        """The metrics of validation and the training loss, a twentieth of the run after the line before."""
        is_far = news.step - self._last_step >= _PLAIN_SHARE * news.steps
        if news.phase != "training" or news.fold or not news.metrics or not is_far:
            return ""
        self._last_step = news.step
        return f"{_where(news)}  {_measured(news, ('train/loss', 'val/'))}".rstrip()

    def line(self, news: Shown) -> str:
        """Where it is, and the metrics of data."""
        self._last_step = news.step
        fold = f"{news.fold}  " if news.fold else ""
        return f"{fold}{_where(news)}  {_measured(news, ('train/', 'val/'))}  {self._left(news)}"

    def drawing(self, news: Shown, width: int) -> RenderableType:
        """All there is."""
        is_going = self._rate and news.phase == "training"
        digits = 0 if self._rate >= 10 else 2
        speed = f"{self._rate:.{digits}f} steps/s  {self._left(news)}" if is_going else _phase(news)
        where = f"epoch {news.epoch:.1f}/{figure(news.epochs)}  step {news.step}/{news.steps}  {news.fold or news.runs}"
        rows = [Heading(news.name, news.step, news.steps, speed), Text(where)]
        rows.append(_numbers(news))
        bars = min(60, width - len("train/loss "))
        if self._losses and bars > 0:
            rows.append(Text.assemble(("train/loss ", "dim"), (sparkline(list(self._losses), bars), "green")))
        if news.best:
            rows.append(Text.assemble(("best ", "dim"), news.best))
        return Group(*rows)

    def _left(self, news: Shown) -> str:
        seconds = (news.steps - news.step) / self._rate if self._rate else 0.0
        return f"{duration(seconds)} left"


def _phase(news: Shown) -> str:
    if news.compiled_in is None:
        return news.phase
    return f"{news.phase}, {duration(news.compiled_in)} last time"


def _where(news: Shown) -> str:
    return f"epoch {figure(news.epoch)}/{figure(news.epochs)}  step {news.step}/{news.steps}"


def _measured(news: Shown, beginnings: tuple[str, ...]) -> str:
    """The metrics with these beginnings of their names, not those of single targets."""
    shown = (name for name in news.metrics if name.startswith(beginnings) and target_of(name) is None)
    return "  ".join(f"{name} {news.text(name)}" for name in shown)


def _numbers(news: Shown) -> Table:
    """The metrics, those of the optimizer below the rest."""
    table = Table.grid(padding=(0, 2))
    for name in sorted(without_targets(news.metrics), key=lambda name: (name.startswith(_LAST), name)):
        table.add_row(Text(name, "dim"), news.text(name, 5))
    return table
