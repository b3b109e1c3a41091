"""What characters draw of any numbers at all: the width is kept, and marks stand in the order of their values."""

from __future__ import annotations

import io
import math
import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from rich.console import Console

from nnrun.report.chart import Line
from nnrun.report.lines import CurveLine
from nnrun.report.live import sparkline
from nnrun.report.plot import FittedCurve, curve
from nnrun.report.terminal_chart import TerminalChart, _axis_of

MOST = 1.7e308
BARS = "▁▂▃▄▅▆▇█"
EDGES = [0.0, -0.0, 5e-324, -5e-324, 1e-300, 1.0, -1.0, MOST, -MOST, math.nan, math.inf, -math.inf]
ANY = st.one_of(st.sampled_from(EDGES), st.floats())
QUICK = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def drawn(chart: Any, width: int) -> list[str]:
    file = io.StringIO()
    Console(file=file, width=width, color_system=None).print(chart)
    return file.getvalue().splitlines()


@QUICK
@given(st.lists(ANY, max_size=60), st.integers(1, 50))
@example([-MOST, MOST], 8)
@example([math.nan], 8)
@example([MOST] * 3, 8)
def test_bars_rise_where_values_do(values: list[float], width: int) -> None:
    """One bar for each finite value, if there is room; the least is the lowest bar, the largest the highest."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        bars = sparkline(values, width)
    finite = [value for value in values if math.isfinite(value)]
    assert len(bars) == min(len(finite), width) and set(bars) <= set(BARS)
    if len(finite) <= width and finite:
        heights = [BARS.index(bar) for bar in bars]
        pairs = sorted(zip(finite, heights, strict=True))
        assert [height for _, height in pairs] == sorted(heights)
        assert heights[finite.index(min(finite))] == 0
        assert heights[finite.index(max(finite))] == (7 if max(finite) > min(finite) else 0)


LINES = st.lists(st.tuples(ANY, ANY, ANY), min_size=1, max_size=40)


@QUICK
@given(LINES, LINES, st.booleans(), st.sampled_from([30, 59, 60, 72, 200]))
@example([(-MOST, -MOST, MOST), (MOST, -MOST, MOST)], [(MOST, 0, 0)], True, 72)
@example([(0.0, 0, 0)] * 9, [(-1.0, 0, 0)] * 9, True, 72)
@example([(1.0, 1, 1)], [(math.nan, 0, 0)], True, 72)
@example([(5e-324, 0, 0), (MOST, 0, 0)], [(1.0, 1, 1)], True, 72)
def test_a_chart_of_any_numbers_keeps_its_width(
    first: list[Any], second: list[Any], open_ended: bool, width: int
) -> None:
    lines = []
    for name, points in (("train/loss", first), ("val/loss", second)):
        y, low, high = np.array(points, float).T
        band = np.minimum(low, high), np.maximum(low, high)
        lines.append(Line(name, np.arange(1, len(points) + 1), y, *band))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        rows = drawn(TerminalChart(tuple(lines), "3 seeds", open_ended, 12), width)
    # A value and its name cannot be cut; all else fits.
    assert all(len(row) <= max(width, 60) for row in rows), max(rows, key=len)
    if width >= 60:
        assert len([row for row in rows if "│" in row]) == 8 and not any("nan" in row[:12] for row in rows)


@QUICK
@given(st.lists(ANY, min_size=1, max_size=72), st.booleans())
@example([-MOST, MOST], False)
@example([5e-324, MOST], True)
@example([0.0, 1.0], True)
@example([-1.0, 0.0], True)
def test_levels_are_in_the_order_of_the_values(values: list[float], open_ended: bool) -> None:
    """On either axis; a logarithmic one is there for positive values alone, and what is beyond is at the ends."""
    means = np.array([value if math.isfinite(value) else math.nan for value in values])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        axis = _axis_of([means], open_ended)
        finite = np.sort(means[np.isfinite(means)])
        levels = axis.levels(finite)
    assert not axis.logarithmic or (finite > 0).all()
    assert (np.diff(levels) >= 0).all() and ((levels >= 0) & (levels <= 15)).all()
    if len(finite) and axis.high > axis.low:
        ends = axis.levels(np.array([axis.low, axis.high]))
        assert ends.tolist() == [0, 15]


def test_the_middle_of_the_largest_numbers_is_in_the_middle() -> None:
    """Their difference is no number, 3.4e308; 0 is half way all the same, and 1e308 at 2.7/3.4 of the height."""
    chart = _axis_of([np.array([-MOST, 0.0, MOST])], False)
    assert chart.levels(np.array([-MOST, 0.0, 1e308, MOST])).tolist() == [0, 8, 12, 15]
    assert sparkline([-MOST, 0.0, MOST]) == "▁▅█"  # 3.5 of 7 is rounded to the even one


@pytest.mark.parametrize("values", [[0.5], [], [math.nan, 0.5, math.inf, -math.inf, MOST, -MOST]])
@pytest.mark.parametrize("width", [10, 40])
def test_a_curve_between_0_and_1_holds_what_is_none(values: list[float], width: int) -> None:
    """What is no number has no bar; what is beyond is at the ends."""
    rows = curve(values, ("0", "1")).splitlines()
    assert len(rows) == 12
    cells = rows[0].partition("│")[2].ljust(len(values))
    assert [cell == "█" for cell in cells] == [value >= 1 for value in values]
    assert drawn(FittedCurve(values, ("0", "1")), width)


@QUICK
@given(st.lists(ANY, min_size=1, max_size=30), st.integers(30, 80))
def test_a_row_of_bars_is_one_line(values: list[float], width: int) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        rows = drawn(CurveLine("val/loss", values, 10), width)
    assert len(rows) == 1 and rows[0].startswith("val/loss")
