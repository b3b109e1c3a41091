"""Parallel coordinates: a line for each trial through all its settings to its score, as a picture inside a page.

Without scripts it is a picture; with them a line under the pointer stands out, and a range that is dragged on an axis
leaves the trials that go through it.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from html import escape
from importlib.resources import files
from typing import NamedTuple

import numpy as np

from nnrun.amounts import figure
from nnrun.report.drawing import axis_label, scale_of
from nnrun.report.settings import settings_text
from nnrun.report.sweep.evidence import ranked
from nnrun.report.sweep.findings import Answer
from nnrun.report.sweep.folder import AlternativeRecord, DimensionRecord, TrialRecord
from nnrun.report.sweep.scatter import window
from nnrun.report.sweep.tables import CHOSEN_DIGITS
from nnrun.report.values import level
from nnrun.statistics.metric import Metric

__all__ = ["parallel_head", "parallel_section"]

_STEP, _HEIGHT = 190, 300  # units between two axes, and of an axis
_LEFT, _TOP, _RIGHT, _BOTTOM = 80, 40, 90, 18
_WORST, _BEST = (147, 178, 214), (213, 94, 0)  # colours of the ends of the score
_SHADES = 20  # of the axis of the score
_TICKS = 5  # of an axis that is not logarithmic, about
_LEAST, _MOST = 0.9, 1.4  # pixels of a unit: smaller letters cannot be read, larger ones waste the screen
_BESIDE = 3  # settings, above which a picture takes the whole width
_FEWEST = 2  # settings that vary: of one, the score by setting is the same picture

_STYLE = """
.parallels { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 34rem), 1fr)); gap: 1rem 2rem; }
.parallel.broad { grid-column: 1 / -1; }
.parallel svg { width: 100%; height: auto; display: block; touch-action: pan-x pan-y; }
.parallel text { font: 12px system-ui, sans-serif; fill: var(--dim); paint-order: stroke; stroke: var(--paper);
                 stroke-width: 3px; }
.parallel .name { fill: var(--ink); font-size: 13px; }
.parallel .axis { stroke: var(--dim); }
.parallel .shade { stroke-width: 5; }
.parallel path { fill: none; stroke-width: 1.6; opacity: 0.75; }
.parallel .lost { stroke: var(--dim); stroke-dasharray: 4 4; }
.parallel .chosen { stroke-width: 3.5; opacity: 1; }
.parallel .on { stroke-width: 4; opacity: 1; }
.parallel .grip { fill: transparent; cursor: ns-resize; touch-action: none; }  .parallel .off { opacity: 0.06; }
.parallel .range { fill: var(--dim); opacity: 0.25; pointer-events: none; }
.parallel .picked { min-height: 3em; margin: 0.2rem 0; font-size: 0.85rem; }
"""


class _Axis(NamedTuple):
    """One axis: its name, its ticks and the place of a value, from 0 at the bottom to 1 at the top."""

    name: str
    ticks: list[tuple[float, str]]
    place: Callable[[object], float]


@lru_cache(maxsize=1)
def parallel_head() -> str:
    """What stands in the head of a page with such pictures."""
    script = (files("nnrun.report") / "assets" / "parallel.js").read_text(encoding="utf-8")
    return f"<style>{_STYLE}</style>\n<script>{script}</script>"


def parallel_section(answer: Answer) -> str:
    """The pictures of all alternatives on each base; "" where there is none."""
    alternatives = answer.sweep.alternatives
    several = len(alternatives) > 1  # what a single one is called says nothing
    known = {known.label: known._replace(label=known.label if several else "") for known in alternatives}
    inside = "".join(
        _figure(
            known[row.alternative],
            [t for t in answer.sweep.trials if (t.base, t.alternative) == (part.base, row.alternative)],
            row.trial,
            answer.sweep.judge,
        )
        for part in answer.bases
        for row in part.rows
    )
    return f'<h2>Settings and scores</h2><div class="parallels">{inside}</div>' if inside else ""


def _figure(
    alternative: AlternativeRecord, trials: Sequence[TrialRecord], chosen: str | None, judge: Metric
) -> str:
    """The figure of an alternative; "" where fewer than two settings varied, or no two trials have a value.

    trials   of this alternative on one base
    chosen   the trial that was chosen
    """
    paths = [dimension.path for dimension in alternative.dimensions]
    whole = [trial for trial in trials if all(path in trial.settings for path in paths)]
    scored = [trial for trial in whole if trial.value is not None]
    if len(paths) < _FEWEST or len(scored) < 2:
        return ""
    axes = [_setting_axis(dimension, whole) for dimension in alternative.dimensions]
    score = _score_axis(scored, judge)
    drawn = [trial for trial in whole if trial.value is not None or trial.status == "diverged"]
    lines = [_line(trial, paths, axes, score, chosen, judge) for trial in reversed(ranked(drawn, judge))]
    lost = len(drawn) - len(scored)
    caption = (
        f"A line for each of {len(drawn)} trials, coloured by {judge.name}; higher on the last axis is better, and the "
        "thick line is the chosen trial."
        + (f" Dashed: {lost} that diverged." if lost else "")
        + " Point at a line for its numbers; drag along an axis to keep what goes through, click it to release."
    )
    width, height = _LEFT + _STEP * len(paths) + _RIGHT, _TOP + _HEIGHT + _BOTTOM
    title = f"{alternative.label}: settings and {judge.name}".removeprefix(": ")
    marks = "".join(_axis_svg(i, axis) for i, axis in enumerate([*axes, score])) + _shades(len(paths))
    grips = "".join(
        f'<rect class="grip" x="{_x(i) - 14}" y="{_TOP}" width="28" height="{_HEIGHT}"/>'
        for i in range(len(paths) + 1)
    )
    return (
        f'<figure class="parallel{" broad" if len(paths) > _BESIDE else ""}"><h3>{escape(title)}</h3><div class="wide">'
        f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{escape(title)}" '
        f'style="min-width: {_LEAST * width:.0f}px; max-width: {_MOST * width:.0f}px">'
        f'{"".join(lines)}{marks}{grips}</svg></div><p class="dim picked"></p>'
        f"<figcaption>{escape(caption)}</figcaption></figure>"
    )


def _line(
    trial: TrialRecord,
    paths: Sequence[str],
    axes: Sequence[_Axis],
    score: _Axis,
    chosen: str | None,
    judge: Metric,
) -> str:
    heights = [axis.place(trial.settings[path]) for path, axis in zip(paths, axes, strict=True)]
    goodness = 0.0 if trial.value is None else score.place(trial.value)
    points = [f"{_x(i)} {_y(height):.1f}" for i, height in enumerate([*heights, goodness])]
    classes = "lost" if trial.value is None else "trial"
    classes += " chosen" if trial.trial == chosen else ""
    colour = "" if trial.value is None else f' stroke="{_colour(goodness)}"'
    value = "diverged" if trial.value is None else f"{judge.name} {level(judge, trial.value)}"
    text = escape(f"{trial.trial}: {value}; {settings_text(trial.settings, CHOSEN_DIGITS)}")
    return f'<path class="{classes}"{colour} d="M{" L".join(points)}"><title>{text}</title></path>'


def _setting_axis(dimension: DimensionRecord, trials: Sequence[TrialRecord]) -> _Axis:
    """The axis of what varied; it reaches over all values, also those of trials that left the range."""
    name = dimension.path.rpartition(".")[2]
    if dimension.kind == "choice":
        names = [str(choice) for choice in dimension.values]
        names += sorted({str(trial.settings[dimension.path]) for trial in trials} - {*names})
        places = {choice: (i + 0.5) / len(names) for i, choice in enumerate(names)}
        ticks = [(place, choice) for choice, place in places.items()]
        return _Axis(name, ticks, lambda value: places[str(value)])
    values = [float(str(trial.settings[dimension.path])) for trial in trials]
    if dimension.kind != "normal" and dimension.low is not None and dimension.high is not None:
        values += [dimension.low, dimension.high]
    low, high = min(values), max(values)
    if dimension.kind in ("log", "log_int") and low > 0:
        return _logarithmic(name, low, high)
    return _linear(name, low, high)


def _logarithmic(name: str, low: float, high: float) -> _Axis:
    span = math.log(high / low) or 1.0

    def place(value: object) -> float:
        return math.log(float(str(value)) / low) / span

    exponents = range(math.ceil(math.log10(low) - 1e-9), math.floor(math.log10(high) + 1e-9) + 1)
    powers = [10.0**exponent for exponent in exponents]
    shown = powers if len(powers) > 1 else [low, *powers, high]
    return _Axis(f"{name} (log)", [(place(value), figure(value, 3)) for value in shown], place)


def _linear(name: str, low: float, high: float) -> _Axis:
    span = high - low or 1.0

    def place(value: object) -> float:
        return (float(str(value)) - low) / span

    return _Axis(name, [(place(value), figure(value)) for value in _round_values(low, high)], place)


def _score_axis(trials: Sequence[TrialRecord], judge: Metric) -> _Axis:
    """The axis of the score, the best at its top; the worst are at its bottom where they are far off."""
    scale = scale_of(judge)
    scores = np.array([scale * trial.value for trial in trials if trial.value is not None])
    low, high = window(scores, judge.rising)

    def place(value: object) -> float:
        height = (scale * float(str(value)) - low) / (high - low)
        return float(np.clip(height if judge.rising else 1 - height, 0, 1))

    ticks = [(place(value / scale), figure(value, 5)) for value in _round_values(low, high)]
    return _Axis(axis_label(judge).replace(r"\$", "$"), ticks, place)


def _round_values(low: float, high: float) -> list[float]:
    """A few values with few digits between the ends."""
    if high <= low:
        return [low]
    rough = (high - low) / _TICKS
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough)
    first = math.ceil(low / step - 1e-9)
    return [i * step for i in range(first, math.floor(high / step + 1e-9) + 1)]


def _axis_svg(i: int, axis: _Axis) -> str:
    x = _x(i)
    ticks = "".join(
        f'<line class="axis" x1="{x - 4}" x2="{x + 4}" y1="{_y(place):.1f}" y2="{_y(place):.1f}"/>'
        f'<text x="{x + 8}" y="{_y(place) + 4:.1f}">{escape(text)}</text>'
        for place, text in axis.ticks
    )
    return (
        f'<line class="axis" x1="{x}" x2="{x}" y1="{_TOP}" y2="{_TOP + _HEIGHT}"/>{ticks}'
        f'<text class="name" text-anchor="middle" x="{x}" y="{_TOP - 18}">{escape(axis.name)}</text>'
    )


def _shades(i: int) -> str:
    """The colours of the score, along its axis."""
    edges = np.linspace(0, 1, _SHADES + 1)
    return "".join(
        f'<line class="shade" stroke="{_colour((low + high) / 2)}" x1="{_x(i)}" x2="{_x(i)}" y1="{_y(low):.1f}" '
        f'y2="{_y(high):.1f}"/>'
        for low, high in itertools.pairwise(edges)
    )


def _colour(goodness: float) -> str:
    """Between those of the worst and the best, the best third most of the way."""
    share = goodness**2
    return "rgb({} {} {})".format(*(round(a + share * (b - a)) for a, b in zip(_WORST, _BEST, strict=True)))


def _x(i: int) -> int:
    return _LEFT + _STEP * i


def _y(place: float) -> float:
    return _TOP + _HEIGHT * (1 - place)
