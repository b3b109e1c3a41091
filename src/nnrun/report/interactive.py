"""Charts on a page: curves that answer to the pointer, drawn by uPlot, whose script the page holds.

Without scripts the page shows the same charts as pictures.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Sequence
from functools import lru_cache
from html import escape
from importlib.resources import files

import numpy as np

from nnrun.report.chart import Chart, Line, thinned
from nnrun.report.drawing import COLOURS, NIGHT, png
from nnrun.report.drawn import figure_of

__all__ = ["chart_html", "charts_html", "head"]

_DPI = 100
_DIGITS = 9
_DASHES: tuple[list[int], ...] = ([], [8, 4], [2, 3])


@lru_cache(maxsize=1)
def head() -> str:
    """What stands in the head of a page with charts: uPlot with its licence, and what makes charts of the data."""
    assets = files("nnrun.report") / "assets"
    texts = {
        name: (assets / name).read_text(encoding="utf-8")
        for name in ("uPlot.min.css", "uPlot.iife.min.js", "charts.js")
    }
    licence = (assets / "uPlot.LICENSE").read_text(encoding="utf-8").strip()
    return (
        f"<style>{texts['uPlot.min.css']}{(assets / 'charts.css').read_text(encoding='utf-8')}</style>\n"
        f"<script>/*\nuPlot\n{licence}\n*/\n{texts['uPlot.iife.min.js']}</script>\n"
        f"<script>{texts['charts.js']}</script>"
    )


def charts_html(charts: Sequence[Chart]) -> str:
    """The charts side by side where there is room."""
    return '<div class="pictures">' + "".join(map(chart_html, charts)) + "</div>" if charts else ""


def chart_html(chart: Chart, picture: bytes | None = None) -> str:
    """A chart of a page.

    picture   a PNG for who has no scripts; None: it is drawn; b"": the chart before has one of both
    """
    caption = escape(_caption(chart))
    content = png(figure_of(chart), _DPI) if picture is None else picture
    image = (
        f'<img alt="{escape(chart.title)}" src="data:image/png;base64,{base64.b64encode(content).decode()}">'
    )
    # "</script>" in a name must not end the script.
    data = json.dumps(_data(chart), separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
    return (
        f'<figure><h3>{escape(chart.title)}</h3><div class="chart"><script type="application/json">{data}</script>'
        f"</div>{f'<noscript>{image}</noscript>' if content else ''}"
        f"<figcaption>{caption}</figcaption></figure>\n"
    )


def _caption(chart: Chart) -> str:
    """The caption; where points are means of several logged steps, with their number."""
    most = max((thinned(line)[1] for line in chart.lines), default=1)
    thin = f" Each point is the mean of {most} logged steps." if most > 1 else ""
    return chart.caption + thin


def _data(chart: Chart) -> dict[str, object]:
    """What charts.js takes: one horizontal axis for all lines, null where a line has no value."""
    lines = [thinned(line)[0] for line in chart.lines]
    if chart.logarithmic:
        lines = _above_zero(lines)
    x, places = _common_axis(lines)
    looks = [i if line.look is None else line.look for i, line in enumerate(lines)]
    series = [
        {
            "label": line.label,
            "colour": COLOURS[look % len(COLOURS)],
            "night": NIGHT[look % len(NIGHT)],
            "dash": _DASHES[look // len(COLOURS) % len(_DASHES)],
            "dots": line.dots,
            "values": _spread(line.y, at, len(x)),
            "low": None if line.low is None else _spread(line.low, at, len(x)),
            "high": None if line.high is None else _spread(line.high, at, len(x)),
        }
        for look, line, at in zip(looks, lines, places, strict=True)
    ]
    return {
        "x": [_short(value) for value in x.tolist()], "xLabel": chart.x_label, "yLabel": chart.y_label,
        "log": chart.logarithmic, "at": chart.at, "level": chart.level, "window": chart.window, "whole": chart.whole,
        "series": series,
    }  # fmt: skip


def _common_axis(lines: Sequence[Line]) -> tuple[np.ndarray, list[np.ndarray]]:
    """A rising axis with the x of all lines, and where on it those of each line are.

    Lines that share an x share a place; where there are dots, each point has a place of its own.
    """
    everything = np.concatenate([line.x for line in lines])
    if not any(line.dots for line in lines):
        axis = np.unique(everything)
        return axis, [np.searchsorted(axis, line.x) for line in lines]
    order = np.argsort(everything, kind="stable")
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    edges = np.cumsum([len(line.x) for line in lines])[:-1]
    return everything[order], np.split(place, edges)


def _above_zero(lines: Sequence[Line]) -> list[Line]:
    """Lines for a logarithmic axis: values of 0 or less are left out; a band that reaches them ends at the bottom."""
    values = np.concatenate([line.y for line in lines])
    bottom = min((value for value in values.tolist() if value > 0 and math.isfinite(value)), default=1.0)

    def cut(ends: np.ndarray | None) -> np.ndarray | None:
        return None if ends is None else np.where(np.isfinite(ends), np.maximum(ends, bottom), ends)

    return [
        line._replace(y=np.where(line.y > 0, line.y, np.nan), low=cut(line.low), high=cut(line.high))
        for line in lines
    ]


def _spread(values: np.ndarray, places: np.ndarray, size: int) -> list[float | None]:
    """The values at their places, None elsewhere and where there is none."""
    spread = np.full(size, np.nan)
    spread[places] = values
    return [_short(value) if math.isfinite(value) else None for value in spread.tolist()]


def _short(value: float) -> float:
    """The digits that can be seen."""
    number = float(f"{value:.{_DIGITS}g}")
    return int(number) if number.is_integer() and abs(number) < 2**53 else number
