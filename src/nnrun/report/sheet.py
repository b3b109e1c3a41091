"""A table for a terminal of any width, in which nothing is cut: what does not fit goes into a block below."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from rich.cells import cell_len, set_cell_size
from rich.console import Console, ConsoleOptions, RenderResult
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

__all__ = ["Sheet", "SheetColumn", "sheet_of"]

_GAP = 2  # spaces between two columns
_FOLDED = 24  # characters that a column of words keeps at least
_ELLIPSIS = "…"
_SHARE = 0.4  # of the width that keys may take where not all columns fit beside them
_SHORTEST = 16


@dataclass(frozen=True, eq=False)
class SheetColumn:
    """A column of a sheet.

    head     may be folded between its words
    cells    one of each row; text or styled text
    kind     number: to the right, never folded; name: to the left, never folded; words: folded between words where
             there is too little room
    """

    head: str
    cells: Sequence[Text]
    kind: str = "number"

    @cached_property
    def unfolded(self) -> int:
        """How wide it is with its head on one line."""
        return max(self.width, cell_len(self.head))

    @cached_property
    def width(self) -> int:
        """Of its longest cell, and the longest word of its head."""
        return max([self.narrowest_head, *(cell_len(cell.plain) for cell in self.cells)])

    @cached_property
    def narrowest_head(self) -> int:
        """Of the longest word of the head."""
        return max(map(cell_len, self.head.split()), default=0)

    @cached_property
    def narrowest(self) -> int:
        """How narrow it may become."""
        if self.kind != "words":
            return self.width
        words = [word for cell in self.cells for word in cell.plain.split()]
        longest = max([self.narrowest_head, *(cell_len(word) for word in words)])
        return min(self.width, max(longest, _FOLDED))


class Sheet:
    """Rows under columns, the first `keys` of which say what a row is and stand in each block.

    A key that leaves too little room for the rest is shortened in its middle, and its rows are listed in full below.
    """

    def __init__(self, columns: Iterable[SheetColumn], keys: int = 1) -> None:
        self.columns, self._keys = list(columns), keys

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yields the blocks, and the full names of what was shortened."""
        keys, rest = self.columns[: self._keys], self.columns[self._keys :]
        keys, full_names = _shortened(keys, rest, options.max_width)
        taken = sum(column.unfolded + _GAP for column in keys)
        rest, full_heads = _short_heads(rest, max(options.max_width - taken, _SHORTEST))
        full_names = [*full_names, *full_heads]
        for i, block in enumerate(_blocks(rest, options.max_width - taken)):
            if i:
                yield Text("")
            columns = [(column, column.unfolded) for column in keys] + block
            if all(column.unfolded <= width for column, width in columns):
                yield from _lines(columns, console)
            else:
                yield _table(columns)
        if full_names:
            yield Text("")
            yield from full_names


def sheet_of(
    head: Sequence[str], rows: Iterable[Sequence[str | Text]], kinds: Sequence[str] = (), keys: int = 1
) -> Sheet:
    """A sheet from its rows; the first columns are names, and the others numbers where `kinds` does not say."""
    rows = [[Text(cell) if isinstance(cell, str) else cell for cell in row] for row in rows]
    kinds = kinds or ["name"] * keys + ["number"] * (len(head) - keys)
    columns = [SheetColumn(name, [row[i] for row in rows], kinds[i]) for i, name in enumerate(head)]
    return Sheet(columns, keys)


def _shortened(
    keys: list[SheetColumn], columns: list[SheetColumn], width: int
) -> tuple[list[SheetColumn], list[Text]]:
    """The keys with the longest of them shortened if need be, and a line for each name that was."""
    everything = sum(column.unfolded + _GAP for column in keys)
    everything += sum(column.narrowest + _GAP for column in columns) - _GAP
    if not keys or everything <= width:
        return keys, []
    widest = max(range(len(keys)), key=lambda i: keys[i].unfolded)
    column = keys[widest]
    others = sum(key.unfolded + _GAP for key in keys) - column.unfolded
    room = max(int(width * _SHARE) - others, _SHORTEST, cell_len(column.head))
    if column.unfolded <= room:
        return keys, []
    shorter = [_middle_left_out(cell.plain, room) for cell in column.cells]
    if len(set(shorter)) < len(
        {cell.plain for cell in column.cells}
    ):  # the number of the row distinguishes them
        shorter = [_middle_left_out(f"{i} {cell.plain}", room) for i, cell in enumerate(column.cells, 1)]
    cells = [Text(text, cell.style) for text, cell in zip(shorter, column.cells, strict=True)]
    legend = [
        Text.assemble((text, "dim"), "  ", cell.plain)
        for text, cell in zip(shorter, column.cells, strict=True)
        if text != cell.plain
    ]
    return [*keys[:widest], replace(column, cells=cells), *keys[widest + 1 :]], legend


def _short_heads(columns: list[SheetColumn], room: int) -> tuple[list[SheetColumn], list[Text]]:
    """The columns, a head that is one word and too long for a block shortened, and a line for each that was."""
    long = [column.head for column in columns if column.narrowest_head > room]
    if not long:
        return columns, []
    shorter = {head: _middle_left_out(head, room) for head in long}
    if len(set(shorter.values())) < len(shorter):
        shorter = {head: _middle_left_out(f"{i} {head}", room) for i, head in enumerate(shorter, 1)}
    legend = [Text.assemble((text, "dim"), "  ", head) for head, text in shorter.items()]
    return [replace(column, head=shorter.get(column.head, column.head)) for column in columns], legend


def _middle_left_out(name: str, room: int) -> str:
    """A name with an ellipsis in its middle where it is longer than there is room for."""
    if cell_len(name) <= room:
        return name
    tail = (room - 1) // 2
    end = name
    while cell_len(end) > tail:
        end = end[1:]
    return f"{set_cell_size(name, room - 1 - tail).rstrip()}{_ELLIPSIS}{end}"


def _blocks(columns: Sequence[SheetColumn], room: int) -> Iterator[list[tuple[SheetColumn, int]]]:
    """The columns, with their widths, that stand beside each other; at least one block, and one column in each."""
    block: list[SheetColumn] = []
    for column in columns:
        needed = sum(known.narrowest + _GAP for known in block) + column.narrowest
        if block and needed > room:
            yield _widths(block, room)
            block = []
        block.append(column)
    yield _widths(block, room)


def _widths(block: Sequence[SheetColumn], room: int) -> list[tuple[SheetColumn, int]]:
    """Heads are on one line where there is room for all; else columns of words share what the others leave."""
    if sum(column.unfolded + _GAP for column in block) - _GAP <= room:
        return [(column, column.unfolded) for column in block]
    spare = room - sum(column.narrowest for column in block) - _GAP * (len(block) - 1)
    widths = []
    for column in block:
        more = min(max(spare, 0), column.width - column.narrowest)
        spare -= more
        widths.append((column, column.narrowest + more))
    return widths


def _lines(columns: Sequence[tuple[SheetColumn, int]], console: Console) -> Iterator[Segment]:
    """What `_table` looks like where nothing is folded, much faster: lists have thousands of rows."""
    heads = [Text(column.head, "dim") for column, _ in columns]
    for cells in (heads, *zip(*(column.cells for column, _ in columns), strict=True)):
        for i, (cell, (column, width)) in enumerate(zip(cells, columns, strict=True)):
            blank = " " * (width - cell_len(cell.plain))
            before, after = (blank, "") if column.kind == "number" else ("", blank)
            if before or i:
                yield Segment(" " * _GAP * bool(i) + before)
            if cell.spans:
                yield from cell.render(console)
            else:
                yield Segment(cell.plain, console.get_style(cell.style))
            if after:
                yield Segment(after)
        yield Segment.line()


def _table(columns: Sequence[tuple[SheetColumn, int]]) -> Table:
    table = Table(box=None, header_style="dim", pad_edge=False)
    for column, width in columns:
        side = "right" if column.kind == "number" else "left"
        table.add_column(Text(column.head), justify=side, width=width, overflow="fold")
    for cells in zip(*(column.cells for column, _ in columns), strict=True):
        table.add_row(*cells)
    return table
