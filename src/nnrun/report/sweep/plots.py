"""The pictures of a sweep: leaderboard, learning curves, best of k, sensitivity, importance.

Each is narrow, so that its text can be read on a phone; `pictures` draws all of them as PNG.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from nnrun.report.chart import Chart
from nnrun.report.drawing import Look, Picture, look, png
from nnrun.report.drawn import figure_of
from nnrun.report.sweep import charts, figures, scatter
from nnrun.report.sweep.findings import Answer, BaseAnswer

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["charts_of", "pictures"]

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


def pictures(answer: Answer, look: Callable[[], None] = lambda: None) -> list[Picture]:
    """All pictures of an answer, those that can be drawn.

    look   is called before each; what it raises ends this
    """
    import matplotlib as mpl

    images = []
    with mpl.rc_context(_SETTINGS):
        for part, prefix, suffix in _bases(answer):
            for name, title, caption, figure in _of_base(answer, part):
                look()
                images.append(Picture(_file_name(prefix + name), title + suffix, caption, png(figure, _DPI)))
        if answer.profile:
            images.append(
                Picture(
                    "profile",
                    "Performance profile",
                    _PROFILE,
                    png(figures.profile(answer, _looks(answer)), _DPI),
                )
            )
    return images


_DOTS = "One dot for each trial; the star is the chosen one, triangles are beyond the edge{}."
_PROFILE = (
    "Share of the data sets on which an alternative needs at most this many times the steps of the fastest one to "
    "reach the target. Higher is better; at 1 it is the share on which it is the fastest."
)


def _of_base(answer: Answer, part: BaseAnswer) -> Iterator[tuple[str, str, str, Figure]]:
    sweep, looks = answer.sweep, _looks(answer)
    if any(row.mean is not None for row in part.rows):
        fresh = any(row.fresh for row in part.rows)
        runs = f"single runs, {'fresh seeds' if fresh else 'the seeds of the chosen trial, not fresh ones'}"
        dots = runs if sweep.studies == 1 else "studies, each the mean over its fresh seeds"
        yield (
            "leaderboard",
            f"{part.metric} of the chosen setting{'s' if len(part.rows) > 1 else ''}",
            f"Means with 95% intervals; small dots are {dots}.",
            figures.leaderboard(part, looks),
        )
    for chart in _of_part(answer, part):
        yield chart.name, chart.title, chart.caption, figure_of(chart)
    yield from _by_setting(answer, part)
    if any(part.importances.values()):
        yield (
            "importance",
            "What matters",
            "Share of the variance of the trials' ranks that each setting alone explains, less what chance would. "
            "Pale bars: no more than chance may give (p > 0.05).",
            figures.importance(part, looks),
        )


def _of_part(answer: Answer, part: BaseAnswer) -> list[Chart]:
    sweep, numbers = answer.sweep, {a.label: i for i, a in enumerate(answer.sweep.alternatives)}
    learning = charts.curves(part, sweep.judge, numbers, sweep.studies)
    best = [charts.best_of(part, sweep.judge, numbers, sweep.studies)] if part.best_of else []
    return [*([learning] if learning else []), *best]


def charts_of(answer: Answer) -> list[Chart]:
    """Those of the pictures that are curves, under the same names, for a page."""
    return [
        chart._replace(name=_file_name(prefix + chart.name), title=chart.title + suffix)
        for part, prefix, suffix in _bases(answer)
        for chart in _of_part(answer, part)
    ]


def _bases(answer: Answer) -> Iterator[tuple[BaseAnswer, str, str]]:
    """Each base with what stands before the names and after the titles of its pictures."""
    for part in answer.bases:
        prefix, suffix = (f"{part.base}-", f", {part.base}") if len(answer.bases) > 1 else ("", "")
        yield part, prefix, suffix


def _by_setting(answer: Answer, part: BaseAnswer) -> Iterator[tuple[str, str, str, Figure]]:
    """The metric against each setting that varied, a picture for each alternative; the first explains the marks."""
    sweep = answer.sweep
    known = {alternative.label: alternative for alternative in sweep.alternatives}
    states = {trial.status for trial in sweep.trials if trial.base == part.base}
    marks = (("stopped", "hollow dots were stopped early"), ("diverged", "crosses diverged"))
    explained = _DOTS.format("".join(f", {words}" for status, words in marks if status in states))
    for row in part.rows:
        trials = [t for t in sweep.trials if (t.base, t.alternative) == (part.base, row.alternative)]
        figure = scatter.sensitivity(known[row.alternative], trials, row.trial, sweep.judge, figures.WIDTH)
        if figure is not None:
            whose = f"{row.alternative}: " if len(part.rows) > 1 else ""
            yield f"sensitivity-{row.alternative}", f"{whose}{sweep.metric} by setting", explained, figure
            explained = ""


def _looks(answer: Answer) -> dict[str, Look]:
    """Colour and line style of each alternative, the same in all pictures."""
    return {alternative.label: look(i) for i, alternative in enumerate(answer.sweep.alternatives)}


def _file_name(text: str) -> str:
    return _NAME.sub("-", text)[:100]
