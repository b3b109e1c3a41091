"""A chart: lines over an axis, before anything draws it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

__all__ = ["MOST_POINTS", "Chart", "Line", "thinned"]

MOST_POINTS = 1500  # of a line; a screen has no more columns


class Line(NamedTuple):
    """One line, with a band around it where it has an interval; arrays (n,), NaN where there is no value.

    dots   its points are drawn and not joined; x may then have equal values
    look   number of its colour and style where that is the same in several charts; None: its place among the lines
    """

    label: str
    x: np.ndarray  # rising
    y: np.ndarray
    low: np.ndarray | None = None
    high: np.ndarray | None = None
    dots: bool = False
    look: int | None = None


class Chart(NamedTuple):
    """What is drawn: as a picture by `drawn`, on a page by `interactive`.

    name      of its file, without suffix
    at        a place on the horizontal axis that stands out, and what is there
    level     a value that stands out, and what it is
    window    the least and the largest value that are shown; None: all are
    whole     whether the horizontal axis has whole numbers only
    """

    name: str
    title: str
    caption: str
    x_label: str
    y_label: str
    lines: tuple[Line, ...]
    logarithmic: bool = False
    at: tuple[float, str] | None = None
    level: tuple[float, str] | None = None
    window: tuple[float, float] | None = None
    whole: bool = False


def thinned(line: Line) -> tuple[Line, int]:
    """The line with at most MOST_POINTS points, and of how many points each is the mean; 1: nothing was changed.

    Dots stay as they are.
    """
    count = -(-len(line.x) // MOST_POINTS)
    if count <= 1 or line.dots:
        return line, 1
    edges = np.arange(0, len(line.x), count)
    sizes = np.diff(np.append(edges, len(line.x)))

    def means(values: np.ndarray | None) -> np.ndarray | None:
        return None if values is None else np.add.reduceat(values.astype(np.float64), edges) / sizes

    x, y = means(line.x), means(line.y)
    assert x is not None and y is not None
    return Line(line.label, x, y, means(line.low), means(line.high), look=line.look), count
