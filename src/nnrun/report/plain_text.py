"""Tables and lines as one text, for what is printed from Python."""

from __future__ import annotations

import io
import shutil

from rich.console import Console, RenderableType

__all__ = ["as_text"]

_NARROWEST, _USUAL = 80, 120  # columns; where no terminal says how wide it is


def as_text(*content: RenderableType) -> str:
    """Tables and lines as a terminal shows them, without colours; lines that are too long for it are not folded."""
    buffer = io.StringIO()
    width = max(_NARROWEST, shutil.get_terminal_size((_USUAL, 0)).columns)
    console = Console(file=buffer, width=width, highlight=False, color_system=None)
    for part in content:
        console.print(part, markup=False, emoji=False, soft_wrap=isinstance(part, str))
    return "\n".join(line.rstrip() for line in buffer.getvalue().splitlines())
