"""The pictures of a sweep: leaderboard, learning curves, best of k, sensitivity, importance.

Each is narrow, so that its text can be read on a phone; `pictures` draws all of them as PNG.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from nnrun.report import sweep_scatter
from nnrun.report.curves import band, seed_curves
from nnrun.report.findings import Answer, BaseAnswer
from nnrun.report.sweep_scatter import axis_label, look, plain, scale_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Picture", "pictures"]

_WIDTH = 5.2  # inches
_DPI = 160
_SETTINGS: dict[Any, Any] = {
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "legend.frameon": False,
    "legend.fontsize": 8.5,
}
_NAME = re.compile("[^A-Za-z0-9._-]")


class Picture(NamedTuple):
    """A picture: name of its file without suffix, heading, what it shows in a sentence, and its content."""

    name: str
    title: str
    caption: str
    png: bytes


def pictures(found: Answer) -> list[Picture]:
    """All pictures of an answer, those that can be drawn."""
    import matplotlib as mpl

    made = []
    with mpl.rc_context(_SETTINGS):
        for part in found.bases:
            prefix, suffix = (f"{part.base}-", f", {part.base}") if len(found.bases) > 1 else ("", "")
            for name, title, caption, figure in _of_base(found, part):
                made.append(Picture(_file_name(prefix + name), title + suffix, caption, _png(figure)))
        if found.profile:
            made.append(Picture("profile", "Performance profile", _PROFILE, _png(_profile(found))))
    return made


_DOTS = (
    "One dot for each trial; the star is the chosen one, hollow dots were stopped early, triangles are beyond the "
    "edge, crosses diverged."
)
_PROFILE = (
    "Share of the data sets on which an alternative needs at most so many times the steps of the fastest one to "
    "reach the target. Higher is better; at 1 it is the share on which it is the fastest."
)


def _of_base(found: Answer, part: BaseAnswer) -> Iterator[tuple[str, str, str, Figure]]:
    sweep = found.sweep
    if any(row.mean is not None for row in part.rows):
        fresh = any(row.fresh for row in part.rows)
        what = "fresh seeds" if fresh else "the seeds of the chosen trial, not fresh ones"
        yield (
            "leaderboard",
            f"{part.metric} of the chosen settings",
            f"Means with 95% bootstrap intervals; small dots are single runs, {what}.",
            _leaderboard(part),
        )
    figure = _curves(part, sweep.metric)
    if figure is not None:
        yield (
            "curves",
            f"{sweep.metric} while training",
            "Means over the seeds of the chosen settings, with 95% intervals as bands.",
            figure,
        )
    if part.best_of:
        independent = any(one.low is not None for curve in part.best_of.values() for one in curve)
        caption = (
            "Expected best value of the search after k trials; bands are 95% intervals over other draws of the trials."
            if independent
            else "Best value of the search so far."
        )
        yield "best-of-k", "How good after k trials of tuning", caption, _best_of(part, sweep.metric)
    known = {one.label: one for one in sweep.alternatives}
    explained = _DOTS
    for row in part.rows:
        trials = [t for t in sweep.trials if (t.base, t.alternative) == (part.base, row.alternative)]
        figure = sweep_scatter.sensitivity(known[row.alternative], trials, row.trial, sweep.metric, _WIDTH)
        if figure is not None:
            yield (
                f"sensitivity-{row.alternative}",
                f"{row.alternative}: {sweep.metric} by setting",
                explained,
                figure,
            )
            explained = ""
    if any(part.importances.values()):
        yield (
            "importance",
            "What matters",
            "Share of the variance of the trials' ranks that each setting alone explains, less what chance would. "
            "Pale bars: no more than chance may give (p > 0.05).",
            _importance(part),
        )


def _leaderboard(part: BaseAnswer) -> Figure:
    rows = [row for row in part.rows if row.mean is not None][::-1]
    figure, axes = _figure(0.9 + 0.42 * len(rows))
    names = [row.alternative for row in part.rows]
    for i, row in enumerate(rows):
        colour = look(names.index(row.alternative))["color"]
        values, scale = np.array(list(row.values.values())), scale_of(part.metric)
        axes.plot(scale * values, np.full(len(values), i), "o", ms=3, color=colour, alpha=0.35, mew=0)
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


def _curves(part: BaseAnswer, metric: str) -> Figure | None:
    scale, drawn, last = scale_of(metric), [], []
    for i, row in enumerate(part.rows):
        found = band(seed_curves(row.run, metric)) if row.run else None
        if found is not None:
            drawn.append((i, row, found))
            last += [float(found.low[-1]), float(found.high[-1])]
    if not drawn:
        return None
    figure, axes = _figure(3.6)
    for i, row, found in drawn:
        axes.plot(found.steps, scale * found.mean, label=plain(row.alternative), lw=1.5, **look(i))
        axes.fill_between(
            found.steps, scale * found.low, scale * found.high, color=look(i)["color"], alpha=0.15, lw=0
        )
    values = np.concatenate([found.mean for _, _, found in drawn])
    _zoom(axes, scale * values, scale * np.array(last))
    axes.set(xlabel="step", ylabel=axis_label(metric))
    _legend(axes, len(drawn))
    return figure


def _best_of(part: BaseAnswer, metric: str) -> Figure:
    figure, axes = _figure(3.4)
    scale = scale_of(metric)
    names = [row.alternative for row in part.rows]
    for label in sorted(part.best_of, key=names.index):
        curve, style = part.best_of[label], look(names.index(label))
        k = [one.k for one in curve]
        axes.plot(k, [scale * one.value for one in curve], label=plain(label), lw=1.5, **style)
        ends = [(one.low, one.high) for one in curve if one.low is not None and one.high is not None]
        if len(ends) == len(curve):
            low, high = scale * np.array(ends).T
            axes.fill_between(k, low, high, color=style["color"], alpha=0.1, lw=0)
    values = scale * np.array([one.value for curve in part.best_of.values() for one in curve])
    _zoom(axes, values, scale * np.array([curve[-1].value for curve in part.best_of.values()]))
    axes.set(xlabel="trials", ylabel=f"best {axis_label(metric)}")
    axes.xaxis.get_major_locator().set_params(integer=True)
    _legend(axes, len(part.best_of))
    return figure


def _importance(part: BaseAnswer) -> Figure:
    bars = [
        (i, row.alternative, one)
        for i, row in enumerate(part.rows)
        for one in part.importances.get(row.alternative, [])
    ][::-1]
    figure, axes = _figure(0.9 + 0.3 * len(bars))
    for y, (i, _, one) in enumerate(bars):
        style = {"color": look(i)["color"], "alpha": 1.0 if one.p <= 0.05 else 0.3}
        axes.barh(y, max(one.explained, 0.004), height=0.7, **style)
    axes.set_yticks(
        range(len(bars)), [plain(f"{label}: {one.path.rpartition('.')[2]}", 34) for _, label, one in bars]
    )
    axes.set(xlabel="share explained", xlim=(0, 1), ylim=(-0.6, len(bars) - 0.4))
    return figure


def _profile(found: Answer) -> Figure:
    figure, axes = _figure(3.2)
    worst = max((tau for points in found.profile.values() for tau, _ in points), default=1.0) * 1.1
    for i, (label, points) in enumerate(found.profile.items()):
        taus, shares = [1.0, *(tau for tau, _ in points), worst], [0.0, *(share for _, share in points)]
        axes.step(taus, [*shares, shares[-1]], where="post", label=plain(label), lw=1.5, **look(i))
    axes.set(
        xlabel="times the steps of the fastest", ylabel="share of the data sets", xscale="log", ylim=(0, 1.03)
    )
    _legend(axes, len(found.profile))
    return figure


def _figure(height: float) -> tuple[Figure, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(_WIDTH, max(height, 1.6)), layout="constrained")
    return figure, figure.subplots()


def _zoom(axes: Any, values: np.ndarray, last: np.ndarray) -> None:
    """Shows where the curves end, not how far they have come: what is far from all ends is cut off."""
    low, high = float(values.min()), float(values.max())
    bottom, top = float(last.min()), float(last.max())
    room = max(2 * (top - bottom), 0.25 * (high - low))
    if high > low:
        margin = 0.05 * room
        axes.set_ylim(max(min(low, bottom), bottom - room) - margin, min(max(high, top), top + room) + margin)


def _legend(axes: Any, count: int) -> None:
    if count > 1:
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=min(count, 3), handlelength=1.8)


def _file_name(text: str) -> str:
    return _NAME.sub("-", text)[:100]


def _png(figure: Figure) -> bytes:
    content = io.BytesIO()
    # Neither date nor version: equal answers are equal files.
    figure.savefig(content, format="png", dpi=_DPI, metadata={"Software": None})
    return content.getvalue()
