"""Metrics of several states side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.table import Table
from rich.text import Text

from nnrun.record.summary import Baseline
from nnrun.report.summary import number, plus_minus, reference

__all__ = ["metric_table"]


def metric_table(
    sections: Mapping[str, Mapping[str, object]],
    intervals: Mapping[str, Mapping[str, Sequence[float] | None]] | None = None,
    baseline: Baseline | None = None,
) -> Table:
    """Metrics of several states side by side: {column: {metric: value}}, and their intervals, if they have a width.

    baseline   of a constant prediction, a column of its own
    """
    table = Table(box=None, header_style="dim", pad_edge=False)
    table.add_column("metric", overflow="fold")
    for name in sections:
        table.add_column(name, justify="right")
    if baseline:
        table.add_column(baseline["prediction"], justify="right")
    names = dict.fromkeys(name for section in sections.values() for name in section)
    for name in sorted(names, key=lambda name: (name.startswith(("grad", "learning", "update")), name)):
        cells = []
        for column, section in sections.items():
            low, high = ((intervals or {}).get(column) or {}).get(name) or (0.0, 0.0)
            shown = number(section[name]) if name in section else ""
            cells.append(shown + (plus_minus(section[name], (low, high)) if shown and high > low else ""))
        if baseline and (value := reference(name, baseline)) is not None:
            cells.append(number(value))
        table.add_row(Text(name), *cells)
    return table
