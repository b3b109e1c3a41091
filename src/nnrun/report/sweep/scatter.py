"""The metric against each thing that varied, a panel each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from nnrun.report.drawing import COLOURS, axis_label, plain, scale_of
from nnrun.report.sweep.folder import AlternativeRecord, DimensionRecord, TrialRecord
from nnrun.statistics.metric import Metric

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["sensitivity", "window"]

_PANEL = 2.3  # inches, the height of one


def sensitivity(
    alternative: AlternativeRecord,
    trials: Sequence[TrialRecord],
    chosen: str | None,
    judge: Metric,
    width: float,
) -> Figure | None:
    """A panel for each dimension of an alternative, two in a row; None if nothing varied or no trial has a value."""
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    known = [trial for trial in trials if trial.value is not None]
    dimensions = alternative.dimensions
    if not dimensions or not known:
        return None
    columns = min(len(dimensions), 2)
    rows = -(-len(dimensions) // columns)
    figure = Figure(figsize=(width, 0.3 + _PANEL * rows))
    panels = figure.subplots(rows, columns, squeeze=False, sharey=True).ravel()
    layout = ConstrainedLayoutEngine(
        w_pad=0.12
    )  # inches, so that the numbers at the ends of two axes stand apart
    figure.set_layout_engine(layout)
    for panel in panels[len(dimensions) :]:
        panel.set_visible(False)
    for i, (panel, dimension) in enumerate(zip(panels, dimensions, strict=False)):
        _panel(panel, dimension, trials, chosen, scale_of(judge), judge.rising)
        if i % columns == 0:
            panel.set_ylabel(axis_label(judge))
    return figure


def _panel(
    axes: Axes,
    dimension: DimensionRecord,
    trials: Sequence[TrialRecord],
    chosen: str | None,
    scale: float,
    rising: bool,
) -> None:
    place = _places(axes, dimension)
    have = [
        (place(trial.settings[dimension.path]), trial) for trial in trials if dimension.path in trial.settings
    ]
    known = [(x, scale * trial.value, trial) for x, trial in have if trial.value is not None]
    axes.set_xlabel(plain(dimension.path.rpartition(".")[2]))
    if not known:
        return
    low, high = window(np.array([y for _, y, _ in known]), rising)
    axes.set_ylim(low, high)
    for status, style in (("done", {}), ("stopped", {"mfc": "none"})):
        shown = [(x, y) for x, y, trial in known if trial.status == status and low <= y <= high]
        _dots(axes, shown, "o", 4.5, COLOURS[0], alpha=0.7, **style)
    _dots(axes, [(x, low) for x, y, _ in known if y < low], "v", 6, COLOURS[0], zorder=5)
    _dots(axes, [(x, high) for x, y, _ in known if y > high], "^", 6, COLOURS[0], zorder=5)
    lost = [x for x, trial in have if trial.value is None and trial.status != "failed"]
    _dots(axes, [(x, low if rising else high) for x in lost], "x", 5, COLOURS[1])
    best = [(x, y) for x, y, trial in known if trial.trial == chosen]
    _dots(axes, best, "*", 12, COLOURS[1], mec="white", mew=0.6)
    axes.grid(color="0.92", lw=0.6)
    axes.set_axisbelow(True)


def _dots(
    axes: Axes, points: Sequence[tuple[float, float]], mark: str, size: float, colour: str, **style: Any
) -> None:
    if points:  # an empty line without clipping would upset the layout
        xs, ys = zip(*points, strict=True)
        axes.plot(xs, ys, mark, ms=size, color=colour, clip_on=False, **style)


def _places(axes: Axes, dimension: DimensionRecord) -> Callable[[Any], float]:
    """Sets the horizontal scale; returns the function from a value to its place there."""
    if dimension.kind == "choice":
        names = [str(choice) for choice in dimension.values]
        axes.set_xticks(range(len(names)), [plain(name, 12) for name in names])
        axes.set_xlim(-0.5, len(names) - 0.5)
        axes.tick_params(axis="x", labelrotation=0 if sum(map(len, names)) < 18 else 30)
        return lambda value: names.index(str(value)) if str(value) in names else -0.5
    if dimension.kind in ("log", "log_int"):
        axes.set_xscale("log")
    if dimension.kind != "normal" and dimension.low is not None and dimension.high is not None:
        if dimension.kind in ("log", "log_int"):
            axes.set_xlim(dimension.low / 1.2, dimension.high * 1.2)
        else:
            room = 0.04 * (dimension.high - dimension.low)
            axes.set_xlim(dimension.low - room, dimension.high + room)
    return float


def window(values: np.ndarray, rising: bool) -> tuple[float, float]:
    """The vertical range: all values, unless the worst are so far off that the good ones could not be told apart."""
    good = values if rising else -values
    best, quartile = float(good.max()), float(np.quantile(good, 0.25))
    worst = max(float(good.min()), quartile - (best - quartile))
    room = 0.08 * max(best - worst, 1e-9)
    low, high = worst - room, best + room
    return (low, high) if rising else (-high, -low)
