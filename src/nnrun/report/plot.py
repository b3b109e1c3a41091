"""A curve as text."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["curve"]

_BLOCKS = " ▁▂▃▄▅▆▇█"
_HEIGHT = 10


def curve(values: Sequence[float], ends: tuple[str, str], heights: tuple[str, str] = ("0", "1")) -> str:
    """A curve of numbers in [0, 1], one column each, over an axis with a text at both ends.

    heights   what the bottom row and the top row are called
    The top row is 1; each cell shows an eighth of its height.
    """
    eighths = [round(8 * _HEIGHT * min(max(value, 0.0), 1.0)) for value in values]
    low, high = heights
    rows, margin = [], max(3, *map(len, heights))
    for row in range(_HEIGHT - 1, -1, -1):
        label = {_HEIGHT - 1: high, 0: low}.get(row, "")
        cells = "".join(_BLOCKS[min(max(eighth - 8 * row, 0), 8)] for eighth in eighths)
        rows.append(f"{label:>{margin}} │{cells}".rstrip())
    left, right = ends
    axis = f"{'':{margin}} └{'─' * len(values)}"
    return "\n".join([*rows, axis, f"{'':{margin}}  {left}{right:>{max(len(values) - len(left), 0)}}"])
