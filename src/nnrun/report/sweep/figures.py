"""The pictures of a sweep that are no curves and compare its alternatives, as matplotlib figures.

looks   alternative -> its colour and line style
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from nnrun.report.drawing import Look, axis_label, plain, scale_of
from nnrun.report.sweep.findings import Answer, BaseAnswer

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["WIDTH", "importance", "leaderboard", "profile"]

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


def _legend(axes: Axes, count: int) -> None:
    if count > 1:
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=min(count, 3), handlelength=1.8)
