"""The catalogue as a table."""

from __future__ import annotations

from collections.abc import Mapping

from rich.table import Table
from rich.text import Text

__all__ = ["table"]


def table(kinds: Mapping[str, Mapping[str, str]]) -> Table:
    """{kind: {name: summary}} as rows: kind, name, summary."""
    rows = Table(box=None, show_header=False, pad_edge=False)
    for style in ("dim", "bold"):
        rows.add_column(style=style, no_wrap=True)
    rows.add_column()
    for kind, entries in kinds.items():
        for i, (name, summary) in enumerate(entries.items()):
            rows.add_row(Text("" if i else kind), Text(name), Text(summary))
    return rows
