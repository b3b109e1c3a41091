"""Lines of a terminal that fit its width: folded under their text, or with bars that make room for a number."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from nnrun.report.live import sparkline
from nnrun.report.values import NO_METRIC, number, plus_minus
from nnrun.statistics.metric import Metric

__all__ = ["CurveLine", "Folded", "Joined", "Labelled", "wrapped"]

_NARROW = 20  # characters of text in a line, at least: in less room it is not indented
_BELOW = 4  # characters before text that stands below its label
_BARS = (8, 40)  # of a curve, from to


def wrapped(text: str, width: int, indent: str = "") -> list[str]:
    """Lines of at most `width` columns, but for words that are longer; all but the first are indented.

    Columns are those of a terminal, where a letter of Chinese or Japanese takes two.
    """
    lines: list[str] = []
    row = ""
    for blanks, word in re.findall(r"(\s*)(\S+)", text):
        if row.strip() and cell_len(row + blanks + word) > width:
            lines.append(row)
            row, blanks = indent, ""
        row += blanks + word
    return [*lines, row] if row else lines


class Folded(NamedTuple):
    """A line of text; what does not fit goes into further ones that are indented.

    indent   characters before the text of the first line: a label and its blanks
    """

    text: str
    indent: int
    style: str = ""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yields its lines."""
        width = options.max_width
        indent = " " * (self.indent if width - self.indent >= _NARROW else 0)
        yield from (Text(line, self.style) for line in wrapped(self.text, width, indent) or [""])


class Joined(NamedTuple):
    """Parts of an equation, each of which stays whole; a line begins anew before one that does not fit.

    indent   characters before each line
    """

    parts: Sequence[str]
    indent: int

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yields its lines."""
        row = margin = " " * self.indent
        for part in self.parts:
            if row.strip() and len(row) + len(part.rstrip()) > options.max_width:
                yield Text(row.rstrip())
                row = margin
            row += part
        yield Text(row.rstrip())


class CurveLine(NamedTuple):
    """The course of a metric as bars between its name and its last value.

    width      of the names of all of them
    interval   of the last value, of a mean of several
    metric     what they are values of
    """

    name: str
    values: Sequence[float]
    width: int
    interval: tuple[float, float] | None = None
    metric: Metric = NO_METRIC

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yields one line."""
        value = self.values[-1]
        last = f" {number(value, self.metric)}{plus_minus(value, self.interval, self.metric)}"
        least, most = _BARS
        taken = self.width + len(last) + last.count("±")  # which is two characters in ASCII
        bars = min(most, max(least, options.max_width - taken))
        yield Text.assemble(f"{self.name:{self.width}}", (sparkline(list(self.values), bars), "green"), last)


class Labelled(NamedTuple):
    """Text that is folded beside a label; below it, where a word has no room beside it.

    label    stays whole
    indent   characters that it takes with its blanks
    remedy   on lines of its own, bold; "": none
    """

    label: Text
    text: str
    indent: int
    remedy: str = ""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yields its lines."""
        width = options.max_width
        longest = max(map(cell_len, f"{self.text} {self.remedy}".split()), default=0)
        beside = longest <= width - self.indent
        margin = self.indent if beside else _BELOW
        text, remedy = (wrapped(part, width - margin) for part in (self.text, self.remedy))
        blank = " " * margin
        if beside:
            first, *text = text or [""]
            yield Text.assemble(self.label, " " * (self.indent - cell_len(self.label.plain)), first)
        else:
            yield self.label
        yield from (Text(f"{blank}{line}") for line in text)
        yield from (Text(f"{blank}{line}", "bold") for line in remedy)
