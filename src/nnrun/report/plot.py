"""A curve as text."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["curve"]

_BLOCKS = " ▁▂▃▄▅▆▇█"
_HEIGHT = 10


def curve(values: Sequence[float], ends: tuple[str, str]) -> str:
    """A curve of numbers in [0, 1], one column each, over an axis with a text at both ends.

    The top row is 1; each cell shows an eighth of its height.
    """
    eighths = [round(8 * _HEIGHT * min(max(value, 0.0), 1.0)) for value in values]
    rows = []
    for row in range(_HEIGHT - 1, -1, -1):
        label = {_HEIGHT - 1: "1", 0: "0"}.get(row, "")
        cells = "".join(_BLOCKS[min(max(eighth - 8 * row, 0), 8)] for eighth in eighths)
        rows.append(f"{label:>3} │{cells}".rstrip())
    left, right = ends
    axis = f"    └{'─' * len(values)}"
    return "\n".join([*rows, axis, f"     {left}{right:>{max(len(values) - len(left), 0)}}"])
