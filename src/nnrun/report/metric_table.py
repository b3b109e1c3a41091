"""Metrics of several states side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from nnrun.record.summary import Baseline
from nnrun.report.sheet import Sheet, sheet_of
from nnrun.report.summary import number, plus_minus, reference

__all__ = ["metric_table"]


def metric_table(
    sections: Mapping[str, Mapping[str, object]],
    intervals: Mapping[str, Mapping[str, Sequence[float] | None]] | None = None,
    baseline: Baseline | None = None,
) -> Sheet:
    """Metrics of several states side by side: {column: {metric: value}}, and their intervals, if they have a width.

    baseline   of a constant prediction, a column of its own
    """
    head = ["metric", *sections, *([baseline["prediction"]] if baseline else [])]
    rows = []
    names = dict.fromkeys(name for section in sections.values() for name in section)
    for name in sorted(names, key=lambda name: (name.startswith(("grad", "learning", "update")), name)):
        cells = []
        for column, section in sections.items():
            low, high = ((intervals or {}).get(column) or {}).get(name) or (0.0, 0.0)
            shown = number(section[name]) if name in section else ""
            cells.append(shown + (plus_minus(section[name], (low, high)) if shown and high > low else ""))
        if baseline:
            value = reference(name, baseline)
            cells.append("" if value is None else number(value))
        rows.append([name, *cells])
    return sheet_of(head, rows)
