"""The metric against each thing that varied, a panel each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from nnrun.report.sweep_folder import Alternative, Dimension, Trial

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["axis_label", "look", "plain", "scale_of", "sensitivity"]

_COLOURS = (  # Okabe & Ito 2008: told apart by colour-blind readers too
    "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#B8A800",
)  # fmt: skip
_STYLES = ("-", "--", ":")
_PANEL = 2.3  # inches, the height of one
_LOW = 0.1  # quantile of the values below which the scale is cut, where bad trials would hide the rest


def look(i: int) -> dict[str, Any]:
    """Colour and line style of the i-th alternative."""
    return {"color": _COLOURS[i % len(_COLOURS)], "linestyle": _STYLES[i // len(_COLOURS) % len(_STYLES)]}


def scale_of(metric: str) -> float:
    """100 for a share, which is shown in percent, else 1."""
    return 100.0 if metric.endswith("accuracy") else 1.0


def axis_label(metric: str) -> str:
    """The name of a metric with its unit."""
    return plain(f"{metric} (%)" if scale_of(metric) == 100 else metric, 40)


def plain(text: str, limit: int = 24) -> str:
    """A name as matplotlib shows it letter by letter: no formulas, nothing that cannot be printed, not too long."""
    shown = "".join(c if c.isprintable() else "?" for c in text)
    shown = shown if len(shown) <= limit else shown[: limit - 1] + "…"
    return shown.replace("$", r"\$")


def sensitivity(
    alternative: Alternative, trials: Sequence[Trial], chosen: str | None, metric: str, width: float
) -> Figure | None:
    """A panel for each dimension of an alternative, two in a row; None if nothing varied or no trial has a value."""
    from matplotlib.figure import Figure

    known = [one for one in trials if one.value is not None]
    dimensions = alternative.dimensions
    if not dimensions or not known:
        return None
    columns = min(len(dimensions), 2)
    rows = -(-len(dimensions) // columns)
    figure = Figure(figsize=(width, 0.3 + _PANEL * rows), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False, sharey=True).ravel()
    for panel in panels[len(dimensions) :]:
        panel.set_visible(False)
    for i, (panel, dimension) in enumerate(zip(panels, dimensions, strict=False)):
        _panel(panel, dimension, trials, chosen, scale_of(metric))
        if i % columns == 0:
            panel.set_ylabel(axis_label(metric))
    return figure


def _panel(
    axes: Any, dimension: Dimension, trials: Sequence[Trial], chosen: str | None, scale: float
) -> None:
    place = _places(axes, dimension)
    have = [one for one in trials if dimension.path in one.settings]
    for status, style in (("done", {"alpha": 0.7}), ("stopped", {"alpha": 0.7, "mfc": "none"})):
        shown = [one for one in have if one.status == status and one.value is not None]
        xs = [place(one.settings[dimension.path]) for one in shown]
        axes.plot(xs, [scale * (one.value or 0.0) for one in shown], "o", ms=4.5, color=_COLOURS[0], **style)
    lost = [
        place(one.settings[dimension.path]) for one in have if one.value is None and one.status != "failed"
    ]
    best = [one for one in have if one.trial == chosen and one.value is not None]
    values = scale * np.array([one.value for one in have if one.value is not None])
    if len(values):
        low, high = _window(values)
        axes.set_ylim(low, high)
        below = [one for one in have if one.value is not None and not low <= scale * one.value <= high]
        for one in below:  # what the scale cuts off is shown at its edge
            edge = low if scale * (one.value or 0.0) < low else high
            axes.plot(place(one.settings[dimension.path]), edge, "v" if edge == low else "^", ms=4, color=_COLOURS[0],
                      clip_on=False, alpha=0.7)  # fmt: skip
        bottom = (
            low if np.median(values) > (low + high) / 2 else high
        )  # the edge on the side of the bad values
        if lost:  # an empty line without clipping would upset the layout
            axes.plot(lost, [bottom] * len(lost), "x", ms=5, color=_COLOURS[1], clip_on=False)
    for one in best:
        axes.plot(place(one.settings[dimension.path]), scale * (one.value or 0.0), "*", ms=12, color=_COLOURS[1],
                  mec="white", mew=0.6)  # fmt: skip
    axes.set_xlabel(plain(dimension.path.rpartition(".")[2]))
    axes.grid(color="0.92", lw=0.6)
    axes.set_axisbelow(True)


def _places(axes: Any, dimension: Dimension) -> Any:
    """Sets the horizontal scale; returns the function from a value to its place there."""
    if dimension.kind == "choice":
        names = [str(one) for one in dimension.values]
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


def _window(values: np.ndarray) -> tuple[float, float]:
    """The vertical range: all values, unless a few are so far off that the others could not be told apart."""
    low, high = float(values.min()), float(values.max())
    inner = np.quantile(values, [_LOW, 0.5, 1 - _LOW])
    spread = max(float(inner[2] - inner[0]), 1e-9 * max(abs(high), 1.0))
    low, high = max(low, float(inner[0]) - spread), min(high, float(inner[2]) + spread)
    room = 0.08 * max(high - low, 1e-9)
    return low - room, high + room
