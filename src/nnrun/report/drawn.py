"""Charts as pictures."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from nnrun.report.chart import Chart, thinned
from nnrun.report.drawing import look, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["figure_of", "figure_of_all"]

_WIDTH, _HEIGHT = 6.4, 3.6  # inches, without the legend
_ROW = 0.19  # inches of a row of a legend
_LETTERS = 88  # in a row of a legend
_GREY = "0.45"


def figure_of(chart: Chart) -> Figure:
    """The chart with its legend below, where every name is whole."""
    return figure_of_all([chart])


def figure_of_all(charts: Sequence[Chart]) -> Figure:
    """Charts one below the other, each with its legend."""
    from matplotlib.figure import Figure

    legends = [_legend_rows(chart) for chart in charts]
    heights = [_HEIGHT + _ROW * len(rows) for rows in legends]
    figure = Figure(figsize=(_WIDTH, sum(heights)), layout="constrained")
    parts = figure.subfigures(len(charts), 1, height_ratios=heights, squeeze=False)[:, 0]
    for part, chart, rows in zip(parts, charts, legends, strict=True):
        axes = part.subplots()
        _draw(axes, chart)
        if len(charts) > 1:
            axes.set_title(plain(chart.title, _LETTERS), fontsize=10, loc="left")
        if rows:
            columns = max(map(len, rows))
            part.legend(loc="outside lower center", ncols=columns, frameon=False, fontsize=8.5)
    return figure


def _draw(axes: Axes, chart: Chart) -> None:
    shown = bool(_legend_rows(chart))
    for i, whole in enumerate(chart.lines):
        line, style = thinned(whole)[0], look(i if whole.look is None else whole.look)
        label = _wrapped(line.label) if shown else None
        if line.dots:
            axes.plot(line.x, line.y, "o", ms=3, mew=0, alpha=0.5, color=style["color"], label=label)
        else:
            marker = "o" if len(line.x) == 1 else ""
            axes.plot(line.x, line.y, lw=1.5, marker=marker, label=label, **style)
        if line.low is not None and line.high is not None:
            axes.fill_between(line.x, line.low, line.high, color=style["color"], alpha=0.15, lw=0)
    if chart.window is not None:
        axes.set_ylim(*chart.window)
    if chart.whole:
        axes.xaxis.get_major_locator().set_params(integer=True)  # type: ignore[call-arg]
    if chart.logarithmic:
        axes.set_yscale("log")
    if chart.at is not None:
        axes.axvline(chart.at[0], color=_GREY, lw=0.8, ls=":")
        axes.annotate(
            plain(chart.at[1], _LETTERS), (chart.at[0], 1), (2, 2), xycoords=("data", "axes fraction"),
            textcoords="offset points", fontsize=7.5, color=_GREY, ha=_side(chart),
        )  # fmt: skip
    if chart.level is not None:
        axes.axhline(chart.level[0], color=_GREY, lw=0.8, ls="--")
        axes.annotate(
            plain(chart.level[1], _LETTERS), (1, chart.level[0]), (-2, 2), xycoords=("axes fraction", "data"),
            textcoords="offset points", fontsize=7.5, color=_GREY, ha="right",
        )  # fmt: skip
    axes.set(xlabel=plain(chart.x_label, 60), ylabel=plain(chart.y_label, 60))
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color="0.92", lw=0.6)
    axes.set_axisbelow(True)


def _side(chart: Chart) -> str:
    """On which side of a mark its text stands, so that it stays inside."""
    assert chart.at is not None
    ends = [end for line in chart.lines if len(line.x) for end in (line.x[0], line.x[-1])]
    return "right" if ends and chart.at[0] > np.mean([min(ends), max(ends)]) else "left"


def _legend_rows(chart: Chart) -> list[list[str]]:
    """The names in a legend, row by row, as many in a row as there is room for; [] where no legend is needed."""
    labels = [line.label for line in chart.lines]
    if len(labels) < 2:
        return []
    widest = max(map(len, labels)) + 6
    columns = max(1, min(len(labels), _LETTERS // widest))
    rows = [labels[i : i + columns] for i in range(0, len(labels), columns)]
    return [row for row in rows for _ in range(max(_wrapped(label).count("\n") for label in row) + 1)]


def _wrapped(label: str) -> str:
    """A name on as many lines as it needs."""
    return "\n".join(
        plain(line, _LETTERS) for line in textwrap.wrap(label, _LETTERS - 8, break_on_hyphens=False) or [""]
    )
