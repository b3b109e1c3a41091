"""What is printed where the encoding of a stream lacks its characters: the same in ASCII, laid out anew."""

from __future__ import annotations

import codecs
import re
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text

__all__ = ["ERRORS", "has_all", "plain"]

ERRORS = "nnrun-ascii"  # the name of what stands for characters that an encoding lacks

_GREEK = {
    "α": "alpha", "β": "beta", "γ": "gamma", "δ": "delta", "ε": "eps", "η": "eta", "θ": "theta", "λ": "lambda",
    "μ": "mu", "ν": "nu", "π": "pi", "ρ": "rho", "σ": "sigma", "τ": "tau", "φ": "phi", "ψ": "psi",
    "Δ": "Delta", "Λ": "Lambda", "Σ": "sum ", "Φ": "Phi", "∏": "prod ", "√": "sqrt", "∛": "cbrt", "∇": "grad",
}  # fmt: skip
_BELOW = dict(zip("₀₁₂₊₋₍₎ᵢⱼₖₘₙₛₜ", "012+-()ijkmnst", strict=True))
_ABOVE = dict(zip("⁰¹²³⁴⁵⁶⁻ᵀᵗˣⁿ", "0123456-Ttxn", strict=True))
_HATS = {
    "\N{COMBINING CIRCUMFLEX ACCENT}": "_hat",
    "\N{COMBINING MACRON}": "_bar",
    "\N{COMBINING TILDE}": "_tilde",
}
_INSTEAD = {
    "…": "~", "±": "+-", "−": "-", "–": "-", "—": "-", "×": "x", "·": "*", "→": "->", "≤": "<=", "≥": ">=", "≈": "~",
    "µ": "u", "∞": "inf", "←": "<-", "↦": "->", "≠": "!=", "‖": "||", "½": "1/2", "⅓": "1/3", "⟨": "<", "⟩": ">",
    "⌈": "ceil(", "⌉": ")", "⌊": "floor(", "⌋": ")", "∘": " o ", "⊙": "*", "⊕": "+", "⟂": "_|_", "⋯": "...", "’": "'",
    "ȳ": "y_bar", "ŵ": "w_hat", "├": "+", **_GREEK, **_HATS,
    **{letter: f"_{plain}" for letter, plain in _BELOW.items()},
    **{letter: f"^{plain}" for letter, plain in _ABOVE.items()},
    **dict(zip("▁▂▃▄▅▆▇█", "_.-~=+*#", strict=True)), "━": "-", "─": "-",
    "│": "|", "└": "+", "╸": "-", "╺": "-", "•": "*", "░": ".", "▀": "*", "⠤": "-", "⠉": "-",
}  # fmt: skip  # those that a table is filled up with stay one column wide
_TABLE = str.maketrans(_INSTEAD)
_RUN = re.compile(f"[{''.join(_BELOW)}]{{2,}}|[{''.join(_ABOVE)}]{{2,}}")
_SYMBOLS = "".join(_GREEK)
_JOINT = re.compile(f"(?<=[{_SYMBOLS}{''.join([*_BELOW, *_ABOVE, *_HATS])}])(?=[A-Za-z{_SYMBOLS}])")


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
        return _ascii(content)
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    from nnrun.report.lines import Folded, Joined, Labelled
    from nnrun.report.sheet import Sheet
    from nnrun.report.terminal_chart import TerminalChart

    if isinstance(content, Folded):
        return content._replace(text=_ascii(content.text))
    if isinstance(content, Labelled):
        return content._replace(text=_ascii(content.text), remedy=_ascii(content.remedy))
    if isinstance(content, TerminalChart):
        return content._replace(ascii=True)
    if isinstance(content, Joined):
        return content._replace(parts=[_ascii(part) for part in content.parts])
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


def _ascii(text: str) -> str:
    """Symbols as names, apart from what follows them; `ₖ₊₁` is `_k+1`."""
    if text.isascii():
        return text
    apart = _JOINT.sub(" ", text)
    return _RUN.sub(lambda run: _joined(run[0]), apart).translate(_TABLE)


def _joined(run: str) -> str:
    """Several letters below or above the line behind one mark."""
    first, *rest = (_INSTEAD[letter] for letter in run)
    return first + "".join(text[1:] for text in rest)


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
