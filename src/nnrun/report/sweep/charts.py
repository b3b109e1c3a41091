"""The curves of a sweep: learning curves of the chosen settings, and the best value after k trials.

looks   alternative -> the number of its colour and line style, the same in all pictures
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from nnrun.report.chart import Chart, Line
from nnrun.report.curves import CurveBand, band, seed_curves
from nnrun.report.drawing import axis_label, scale_of
from nnrun.report.sweep.findings import BaseAnswer
from nnrun.report.values import level
from nnrun.statistics.budget import BestOf
from nnrun.statistics.metric import Metric

__all__ = ["best_of", "curves"]

Looks = Mapping[str, int]


def curves(part: BaseAnswer, metric: Metric, looks: Looks, studies: int = 1) -> Chart | None:
    """Learning curves of the chosen settings with bands; None where there are none to read.

    studies   how often the whole search was made
    """
    known = {
        row.alternative: curve
        for row in part.rows
        if row.run and (curve := band(seed_curves(row.run, metric.name), metric.bounds)) is not None
    }
    if not known:
        return None
    scale = scale_of(metric)
    lines = tuple(_of_curve(label, curve, scale, looks[label]) for label, curve in known.items())
    ends = [float(end[-1]) for line in lines for end in (line.low, line.high) if end is not None]
    window = _window(np.concatenate([line.y for line in lines]), ends) if len(lines) > 1 else None
    caption = (
        f"Means over the seeds of {'each' if len(part.rows) > 1 else 'the'} chosen setting, with 95% intervals as "
        f"bands.{' The setting is that of the best study.' if studies > 1 else ''}"
    )
    title = f"{metric.name} while training"
    chart = Chart("curves", title, caption, "step", axis_label(metric), lines, window=window)
    return _with_cut(chart, metric)


def best_of(part: BaseAnswer, metric: Metric, looks: Looks, studies: int = 1) -> Chart:
    """The best value after k trials, with bands where they are known; studies as in `curves`."""
    names = [row.alternative for row in part.rows]
    labels, scale = sorted(part.best_of, key=names.index), scale_of(metric)
    lines = tuple(_of_points(label, part.best_of[label], scale, looks[label]) for label in labels)
    points = [part.best_of[label][-1] for label in labels]
    ends = [
        scale * end for point in points for end in (point.value, point.low, point.high) if end is not None
    ]
    window = _window(np.concatenate([line.y for line in lines]), ends) if len(lines) > 1 else None
    independent = any(line.low is not None for line in lines)
    caption = (
        "Expected best value of the search after k trials; bands are 95% intervals over other draws of the trials."
        if independent
        else "Best value of the search so far."
    )
    if studies > 1:
        caption = "Best value so far after k trials, mean over the studies; bands are 95% intervals of it."
    chart = Chart(
        "best-of-k", "How good after k trials of tuning", caption, "trials", f"best {axis_label(metric)}", lines,
        window=window, whole=True,
    )  # fmt: skip
    return _with_cut(chart, metric)


def _of_curve(label: str, curve: CurveBand, scale: float, look: int) -> Line:
    return Line(label, curve.steps, scale * curve.mean, scale * curve.low, scale * curve.high, look=look)


def _of_points(label: str, curve: Sequence[BestOf], scale: float, look: int) -> Line:
    k, values = np.array([point.k for point in curve]), np.array([point.value for point in curve])
    bands = [(point.low, point.high) for point in curve if point.low is not None and point.high is not None]
    low, high = scale * np.array(bands).T if len(bands) == len(curve) else (None, None)
    return Line(label, k, scale * values, low, high, look=look)


def _window(values: np.ndarray, ends: Iterable[float]) -> tuple[float, float] | None:
    """Where several curves end, not how far they have come: what is far from all ends is outside."""
    last, values = list(ends), values[np.isfinite(values)]
    if not last or not len(values):
        return None
    low, high, bottom, top = float(values.min()), float(values.max()), min(last), max(last)
    room = max(2 * (top - bottom), 0.25 * (high - low))
    if not high > low:  # equal, or not numbers
        return None
    margin = 0.05 * room
    return max(min(low, bottom), bottom - room) - margin, min(max(high, top), top + room) + margin


def _with_cut(chart: Chart, metric: Metric) -> Chart:
    """The chart whose caption says which values lie outside its window, if any do."""
    if chart.window is None:
        return chart
    (low, high), scale = chart.window, scale_of(metric)
    parts = [part for line in chart.lines for part in (line.y, line.low, line.high) if part is not None]
    heights = np.concatenate(parts)
    cut = [f"below {level(metric, low / scale)}"] if (heights < low).any() else []
    cut += [f"above {level(metric, high / scale)}"] if (heights > high).any() else []
    words = f" Values {' and '.join(cut)} are left out, to show how the curves end." if cut else ""
    return chart._replace(caption=chart.caption + words)
