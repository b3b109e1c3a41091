"""What is printed where the encoding of a stream lacks its characters: the same in ASCII, laid out anew."""

from __future__ import annotations

import codecs
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text

__all__ = ["ERRORS", "has_all", "plain"]

ERRORS = "nnrun-ascii"  # the name of what stands for characters that an encoding lacks

_INSTEAD = {
    "…": "~", "±": "+-", "−": "-", "–": "-", "—": "-", "×": "x", "·": "*", "→": "->", "≤": "<=", "≥": ">=", "≈": "~",
    "µ": "u", "²": "^2", "α": "alpha", "β": "beta", "Δ": "delta", "√": "sqrt", "∞": "inf",
    **dict(zip("▁▂▃▄▅▆▇█", "_.-~=+*#", strict=True)), "━": "-", "─": "-", "│": "|", "╸": "-", "╺": "-", "•": "*",
}  # fmt: skip  # those that a table is filled up with stay one column wide
_TABLE = str.maketrans(_INSTEAD)


def has_all(encoding: str | None) -> bool:
    """Whether a stream of this encoding takes all characters that nnrun prints."""
    try:
        "".join(_INSTEAD).encode(encoding or "utf-8")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def plain(content: RenderableType) -> RenderableType:
    """Text or a table with ASCII in place of other characters of nnrun's own; names of the user's stay."""
    if isinstance(content, str):
        return content.translate(_TABLE)
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    from nnrun.report.lines import Folded, Joined
    from nnrun.report.sheet import Sheet

    if isinstance(content, Folded):
        return content._replace(text=content.text.translate(_TABLE))
    if isinstance(content, Joined):
        return content._replace(parts=[part.translate(_TABLE) for part in content.parts])
    if isinstance(content, Group):
        return Group(*map(plain, content.renderables))
    if isinstance(content, Text):
        return _text(content)
    if isinstance(content, Sheet):
        for i, column in enumerate(content.columns):
            cells = [_text(cell) for cell in column.cells]
            content.columns[i] = replace(column, head=column.head.translate(_TABLE), cells=cells)
    if isinstance(content, Table):
        for column in content.columns:
            column.header = plain(column.header)
            column._cells = [plain(cell) for cell in column.cells]
    return content


def _text(text: Text) -> Text:
    """The same with its styles, which belong to places in it."""
    if text.plain.isascii():
        return text
    from rich.text import Text

    parts = [text[i] for i in range(len(text.plain))]
    for part in parts:
        part.plain = part.plain.translate(_TABLE)
    whole = Text("", end=text.end, justify=text.justify, overflow=text.overflow, no_wrap=text.no_wrap)
    for part in parts:
        whole.append_text(part)
    return whole


def _written(error: UnicodeError) -> tuple[str | bytes, int]:
    """ASCII for the first character that cannot be written, its escape where there is none."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    character = error.object[error.start]
    return _INSTEAD.get(character, character.encode("unicode_escape").decode()), error.start + 1


codecs.register_error(ERRORS, _written)
