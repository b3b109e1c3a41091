"""Curves of one metric on one axis, in characters: training and validation, with the band of several seeds."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

import numpy as np
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from nnrun.amounts import figure, way
from nnrun.report.chart import Line
from nnrun.report.lines import CurveLine
from nnrun.report.values import NO_METRIC, number, plus_minus
from nnrun.statistics.metric import Metric

__all__ = ["FEWEST", "TerminalChart", "last_interval"]

FEWEST = 8  # points of a line that is worth a chart
_HEIGHT = 8  # rows
_LEVELS = 2 * _HEIGHT  # a mark lies in the lower or the upper half of its row
_ROOM = (60, 72)  # columns: fewer show bars instead, more are not used
_MARGIN = 10  # characters of a value beside the axis
_BLANK = " " * _MARGIN
_LARGE, _SMALLER = 1e290, 2.0**-64  # from which values are made smaller, and how much, before they are added
_SPAN = 10.0  # largest value / least value from which on an axis is logarithmic


class _Marks(NamedTuple):
    """The characters of a chart.

    lines      of the last line and of the one before it, for the lower and the upper half of a row
    interval   plus or minus
    beyond     before a value: or less, or more
    """

    lines: tuple[tuple[str, str], tuple[str, str]]
    band: str
    border: str
    corner: str
    axis: str
    interval: str
    beyond: tuple[str, str]


_UNICODE = _Marks((("▄", "▀"), ("⠤", "⠉")), "░", "│", "└", "─", "±", ("≤ ", "≥ "))
_ASCII = _Marks((("*", "*"), ("-", "-")), ".", "|", "+", "-", "+-", ("<= ", ">= "))
_STYLES = ("green", "cyan")  # of the last line and of the one before it
_BAND_STYLE = "dim"

_Grid = list[list[tuple[str, str]]]  # rows from the lowest to the highest: character and style of each cell


class TerminalChart(NamedTuple):
    """One or two curves over the steps; the last one is drawn above the other.

    A cell has the mean of the values of its stretch of the steps.  The vertical axis is logarithmic where the largest
    mean is at least ten times the least and `open_ended` says that the metric has no largest value.  Elsewhere it ends
    at the least and the largest behind the first tenth of the steps, in which a curve may rise or fall steeply.  What
    lies beyond an end is drawn there; a narrow chart has the ends of a wide one.  In fewer than 60 columns each curve
    is a row of bars.

    lines   the label is the name of the metric
    of      what a band is of: `3 seeds`
    width   of the names, where they stand before bars
    metric  what they are values of
    """

    lines: tuple[Line, ...]
    of: str
    open_ended: bool
    width: int
    ascii: bool = False
    metric: Metric = NO_METRIC

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yields its lines."""
        least, most = _ROOM
        if options.max_width < least:
            for line in self.lines:
                yield CurveLine(line.label, line.y.tolist(), self.width, last_interval(line), self.metric)
            return
        yield from self._drawn(min(options.max_width, most))

    def _drawn(self, room: int) -> Iterator[Text]:
        marks = _ASCII if self.ascii else _UNICODE
        first, last = min(line.x[0] for line in self.lines), max(line.x[-1] for line in self.lines)
        places, widest = (np.linspace(first, last, columns - _MARGIN - 2) for columns in (room, _ROOM[1]))
        axis = _axis_of([_means(line.x, line.y, widest) for line in self.lines], self.open_ended)
        labels = axis.labels(marks, self.metric)
        yield from self._heading(marks, axis.logarithmic, room)
        for row, cells in reversed(list(enumerate(_grid(self.lines, places, axis, marks)))):
            text = Text(f"{labels.get(row, ''):>{_MARGIN}} {marks.border}")
            for style, group in groupby(cells, key=lambda cell: cell[1]):
                text.append("".join(character for character, _ in group), style)
            text.rstrip()
            yield text
        yield Text(f"{_BLANK} {marks.corner}{marks.axis * len(places)}")
        left, right = f"step {first}", str(last)
        yield Text(f"{_BLANK}  {left}{right:>{len(places) - len(left)}}")

    def _heading(self, marks: _Marks, logarithmic: bool, room: int) -> Iterator[Text]:
        """What the marks are, with the last values; each part stays whole where there is room for it."""
        parts = []
        for (lower, upper), style, line in zip(marks.lines, _STYLES, reversed(self.lines), strict=False):
            value = float(line.y[-1])
            last = number(value, self.metric) + plus_minus(value, last_interval(line), self.metric)
            last = last.replace("±", marks.interval)
            parts.append(Text.assemble((lower + upper, style), f" {line.label} ", (last, "bold")))
        if any(line.low is not None for line in self.lines):
            parts.append(Text.assemble((marks.band, _BAND_STYLE), f" 95% interval of {self.of}"))
        if logarithmic:
            parts.append(Text("logarithmic"))
        row = Text()
        for part in parts:
            if row and cell_len(row.plain) + 2 + cell_len(part.plain) > room:
                yield row
                row = Text()
            row.append_text(Text.assemble("  " if row else "", part))
        yield row


class _Axis(NamedTuple):
    """The vertical axis: where it begins and ends, and whether there are values beyond."""

    low: float
    high: float
    logarithmic: bool
    is_below: bool = False
    is_above: bool = False

    def levels(self, values: np.ndarray) -> np.ndarray:
        """The half row of each value, 0 the lowest; values beyond the ends are at the ends, NaN anywhere.

        (n,) -> (n,) int
        """
        if not self.high > self.low:
            return np.full(len(values), _LEVELS // 2)
        low, high, values = self.low, self.high, np.clip(values, self.low, self.high)
        if self.logarithmic:
            low, high, values = math.log(low), math.log(high), np.log(values)
        shares = np.clip(np.nan_to_num(way(values, low, high)), 0.0, 1.0)
        return np.rint(shares * (_LEVELS - 1)).astype(int)

    def labels(self, marks: _Marks, metric: Metric) -> dict[int, str]:
        """What rows are called, 0 the lowest."""
        if not self.high > self.low:  # NaN where there is no value at all
            return {} if math.isnan(self.low) else {_HEIGHT // 2: _label(self.low, metric)}
        below, above = marks.beyond
        return {
            0: _label(self.low, metric, below if self.is_below else ""),
            _HEIGHT - 1: _label(self.high, metric, above if self.is_above else ""),
        }


def _label(value: float, metric: Metric, sign: str = "") -> str:
    if metric.share:
        shares = (number(value, metric), f"{figure(100 * value, 3)}%")
        return next((sign + text for text in shares if len(sign + text) <= _MARGIN), sign + shares[1])
    texts = (f"{sign}{figure(value, digits)}" for digits in (4, 2, 1))
    return next((text for text in texts if len(text) <= _MARGIN), f"{sign}{figure(value, 1)}")


def _axis_of(means: Sequence[np.ndarray], open_ended: bool) -> _Axis:
    """A logarithmic axis over all values, or a plain one over those behind the first tenth of the steps."""
    whole = np.concatenate(means)
    if np.isnan(whole).all():
        return _Axis(math.nan, math.nan, False)
    least, most = float(np.nanmin(whole)), float(np.nanmax(whole))
    if open_ended and least > 0 and most >= _SPAN * least:
        return _Axis(least, most, True)
    settled = np.concatenate([values[len(values) // 10 :] for values in means])
    low, high = (least, most) if np.isnan(settled).all() else (np.nanmin(settled), np.nanmax(settled))
    if not high > low:
        low, high = least, most
    return _Axis(float(low), float(high), False, least < low, most > high)


def _grid(lines: Sequence[Line], places: np.ndarray, axis: _Axis, marks: _Marks) -> _Grid:
    """The cells: bands below the curves, the last curve above all."""
    grid = [[(" ", "")] * len(places) for _ in range(_HEIGHT)]
    for line in lines:
        if line.low is None or line.high is None:
            continue
        low, high = (_means(line.x, ends, places) for ends in (line.low, line.high))
        for column in np.flatnonzero(np.isfinite(low) & np.isfinite(high)):
            first, last = axis.levels(np.array([low[column], high[column]])) // 2
            for row in range(first, last + 1):
                grid[row][column] = (marks.band, _BAND_STYLE)
    last_first = zip(reversed(lines), marks.lines, _STYLES, strict=False)
    for line, halves, style in reversed(list(last_first)):
        values = _means(line.x, line.y, places)
        levels = axis.levels(values)
        for column in np.flatnonzero(np.isfinite(values)):
            row, half = divmod(int(levels[column]), 2)
            grid[row][column] = (halves[half], style)
    return grid


def _means(x: np.ndarray, y: np.ndarray, places: np.ndarray) -> np.ndarray:
    """The mean of the values nearest to each place; on the line between two values where there are none.

    NaN before the first value and behind the last.  x (n,) rising, y (n,), places (m,) evenly spaced -> (m,)
    """
    x, y = x[np.isfinite(y)], y[np.isfinite(y)]
    if not len(x):
        return np.full(len(places), np.nan)
    least, most = float(y.min()), float(y.max())
    scale = _SMALLER if max(abs(least), abs(most)) > _LARGE else 1.0  # sums of the largest numbers are none
    y = y * scale
    between = np.interp(places, x, y, left=np.nan, right=np.nan)
    nearest = np.searchsorted((places[1:] + places[:-1]) / 2, x)
    counts = np.bincount(nearest, minlength=len(places))
    sums = np.bincount(nearest, weights=y, minlength=len(places))
    means = np.where(counts > 0, sums / np.maximum(counts, 1), between)
    return np.clip(means, least * scale, most * scale) / scale


def last_interval(line: Line) -> tuple[float, float] | None:
    """Of the last value."""
    if line.low is None or line.high is None or not line.high[-1] > line.low[-1]:
        return None
    return float(line.low[-1]), float(line.high[-1])
