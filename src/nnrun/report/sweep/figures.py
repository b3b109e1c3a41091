"""The pictures of a sweep that compare its alternatives, as matplotlib figures.

looks   alternative -> its colour and line style
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from nnrun.report.curves import band, seed_curves
from nnrun.report.drawing import Look, axis_label, plain, scale_of
from nnrun.report.sweep.findings import Answer, BaseAnswer
from nnrun.report.words import level
from nnrun.statistics.metric import Metric

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["WIDTH", "best_of", "curves", "importance", "leaderboard", "left_out", "profile"]

WIDTH = 5.2  # inches
_BELOW = 0.22  # of a row: where single runs are, below their interval, which would hide them
Looks = Mapping[str, Look]


def leaderboard(part: BaseAnswer, looks: Looks) -> Figure:
    """Means with intervals, a row each, and the single runs."""
    rows = [row for row in part.rows if row.mean is not None][::-1]
    figure, axes = _figure(0.9 + 0.42 * len(rows))
    for i, row in enumerate(rows):
        colour = looks[row.alternative]["color"]
        values, scale = np.array(list(row.values.values())), scale_of(part.metric)
        axes.plot(scale * values, np.full(len(values), i - _BELOW), "o", ms=4, color=colour, alpha=0.7, mew=0)
        mean = scale * (row.mean or 0.0)
        if row.low is not None and row.high is not None:
            axes.plot(
                [scale * row.low, scale * row.high], [i, i], color=colour, lw=2.2, solid_capstyle="butt"
            )
        axes.plot(mean, i, "o", ms=7, color=colour, mec="white", mew=1)
    axes.set_yticks(range(len(rows)), [plain(row.alternative) for row in rows])
    axes.set(xlabel=axis_label(part.metric), ylim=(-0.6, len(rows) - 0.4))
    axes.grid(axis="x", color="0.9", lw=0.6)
    axes.set_axisbelow(True)
    return figure


def curves(part: BaseAnswer, metric: Metric, looks: Looks) -> Figure | None:
    """Learning curves of the chosen settings with bands; None where there are none to read."""
    scale, drawn, last = scale_of(metric), [], []
    for row in part.rows:
        curve = band(seed_curves(row.run, metric.name), metric.bounds) if row.run else None
        if curve is not None:
            drawn.append((row, curve))
            last += [float(curve.low[-1]), float(curve.high[-1])]
    if not drawn:
        return None
    figure, axes = _figure(3.6)
    for row, curve in drawn:
        axes.plot(
            curve.steps, scale * curve.mean, label=plain(row.alternative), lw=1.5, **looks[row.alternative]
        )
        axes.fill_between(
            curve.steps,
            scale * curve.low,
            scale * curve.high,
            color=looks[row.alternative]["color"],
            alpha=0.15,
            lw=0,
        )
    values = np.concatenate([curve.mean for _, curve in drawn])
    if len(drawn) > 1:
        _zoom(axes, scale * values, scale * np.array(last))
    axes.set(xlabel="step", ylabel=axis_label(metric))
    _legend(axes, len(drawn))
    return figure


def best_of(part: BaseAnswer, metric: Metric, looks: Looks) -> Figure:
    """The best value after k trials, with bands where they are known."""
    figure, axes = _figure(3.4)
    scale = scale_of(metric)
    names = [row.alternative for row in part.rows]
    for label in sorted(part.best_of, key=names.index):
        curve, style = part.best_of[label], looks[label]
        k = [point.k for point in curve]
        axes.plot(k, [scale * point.value for point in curve], label=plain(label), lw=1.5, **style)
        bands = [
            (point.low, point.high) for point in curve if point.low is not None and point.high is not None
        ]
        if len(bands) == len(curve):
            low, high = scale * np.array(bands).T
            axes.fill_between(k, low, high, color=style["color"], alpha=0.1, lw=0)
    values = scale * np.array([point.value for curve in part.best_of.values() for point in curve])
    last = [curve[-1] for curve in part.best_of.values()]
    ends = [end for point in last for end in (point.value, point.low, point.high) if end is not None]
    if len(part.best_of) > 1:
        _zoom(axes, values, scale * np.array(ends))
    axes.set(xlabel="trials", ylabel=f"best {axis_label(metric)}")
    axes.xaxis.get_major_locator().set_params(integer=True)  # type: ignore[call-arg]
    _legend(axes, len(part.best_of))
    return figure


def left_out(figure: Figure, metric: Metric) -> str:
    """What curves cut off, in a sentence: values far from where they end; "" where everything is shown."""
    [axes] = figure.axes
    lines = [np.asarray(line.get_ydata(), float) for line in axes.lines]
    bands = [np.asarray(path.vertices)[:, 1] for band in axes.collections for path in band.get_paths()]
    heights = np.concatenate([*lines, *bands])
    (low, high), scale = axes.get_ylim(), scale_of(metric)
    cut = [f"below {level(metric, low / scale)}"] if (heights < low).any() else []
    cut += [f"above {level(metric, high / scale)}"] if (heights > high).any() else []
    return f" Values {' and '.join(cut)} are left out, to show how the curves end." if cut else ""


def importance(part: BaseAnswer, looks: Looks) -> Figure:
    """A bar for each setting of each alternative, pale where chance may explain it."""
    bars = [
        (row.alternative, share) for row in part.rows for share in part.importances.get(row.alternative, [])
    ][::-1]
    figure, axes = _figure(0.9 + 0.3 * len(bars))
    for y, (label, share) in enumerate(bars):
        colour, pale = looks[label]["color"], share.p > 0.05
        style = {"color": (colour, 0.3 if pale else 1.0), "edgecolor": colour, "lw": 0.8}
        axes.barh(y, max(share.explained, 0.004), height=0.7, **style)
    names = [share.path.rpartition(".")[2] for _, share in bars]
    if len(part.rows) > 1:
        names = [f"{label}: {name}" for (label, _), name in zip(bars, names, strict=True)]
    axes.set_yticks(range(len(bars)), [plain(name, 34) for name in names])
    axes.set(xlabel="share explained", xlim=(0, 1), ylim=(-0.6, len(bars) - 0.4))
    return figure


def profile(answer: Answer, looks: Looks) -> Figure:
    """The performance profile over several bases."""
    figure, axes = _figure(3.2)
    worst = max((tau for points in answer.profile.values() for tau, _ in points), default=1.0) * 1.1
    for label, points in answer.profile.items():
        taus, shares = [1.0, *(tau for tau, _ in points), worst], [0.0, *(share for _, share in points)]
        axes.step(taus, [*shares, shares[-1]], where="post", label=plain(label), lw=1.5, **looks[label])
    axes.set(xlabel="times the steps of the fastest", ylabel="share of the data sets", ylim=(0, 1.03))
    if worst > 10:
        axes.set_xscale("log")
    _legend(axes, len(answer.profile))
    return figure


def _figure(height: float) -> tuple[Figure, Axes]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH, max(height, 1.6)), layout="constrained")
    return figure, figure.subplots()


def _zoom(axes: Axes, values: np.ndarray, last: np.ndarray) -> None:
    """Shows where several curves end, not how far they have come: what is far from all ends is cut off."""
    low, high = float(values.min()), float(values.max())
    bottom, top = float(last.min()), float(last.max())
    room = max(2 * (top - bottom), 0.25 * (high - low))
    if high > low:
        margin = 0.05 * room
        axes.set_ylim(max(min(low, bottom), bottom - room) - margin, min(max(high, top), top + room) + margin)


def _legend(axes: Axes, count: int) -> None:
    if count > 1:
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=min(count, 3), handlelength=1.8)
