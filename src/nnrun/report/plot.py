"""A curve as text."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

__all__ = ["FittedCurve", "curve"]

_BLOCKS = " ▁▂▃▄▅▆▇█"
_HEIGHT = 10
_BORDER = " │"  # between what a row is called and its cells


class FittedCurve(NamedTuple):
    """A curve as `curve` draws it, of which a narrow terminal shows evenly spaced columns, both ends among them."""

    values: Sequence[float]
    ends: tuple[str, str]
    heights: tuple[str, str] = ("0", "1")

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yields its lines."""
        room = max(2, options.max_width - _margin(self.heights) - len(_BORDER))
        shown = self.values
        if len(shown) > room:
            shown = [shown[round(i * (len(shown) - 1) / (room - 1))] for i in range(room)]
        yield Text(curve(shown, self.ends, self.heights), no_wrap=True, overflow="ignore")


def curve(values: Sequence[float], ends: tuple[str, str], heights: tuple[str, str] = ("0", "1")) -> str:
    """A curve of numbers in [0, 1], one column each, over an axis with a text at both ends.

    heights   what the bottom row and the top row are called
    The top row is 1; each cell shows an eighth of its height.  What is no number has no bar.
    """
    eighths = [0 if math.isnan(value) else round(8 * _HEIGHT * min(max(value, 0.0), 1.0)) for value in values]
    low, high = heights
    rows, margin = [], _margin(heights)
    for row in range(_HEIGHT - 1, -1, -1):
        label = {_HEIGHT - 1: high, 0: low}.get(row, "")
        cells = "".join(_BLOCKS[min(max(eighth - 8 * row, 0), 8)] for eighth in eighths)
        rows.append(f"{label:>{margin}}{_BORDER}{cells}".rstrip())
    left, right = ends
    axis = f"{'':{margin}} └{'─' * len(values)}"
    return "\n".join([*rows, axis, f"{'':{margin}}  {left}{right:>{max(len(values) - len(left), 0)}}"])


def _margin(heights: tuple[str, str]) -> int:
    """Characters of what rows are called."""
    return max(3, *map(len, heights))
