"""Metrics of several states side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from nnrun.record.summary import Baseline
from nnrun.report.sheet import Sheet, sheet_of
from nnrun.report.summary import RUN_PARTS, reference
from nnrun.report.values import number, plus_minus
from nnrun.statistics.metric import Bounds, metric_of, target_of, without_targets

__all__ = ["metric_table", "metric_tables"]

_PARTS = (*RUN_PARTS, "file/")


def metric_tables(
    sections: Mapping[str, Mapping[str, object]],
    intervals: Mapping[str, Mapping[str, Sequence[float] | None]] | None = None,
    baseline: Baseline | None = None,
    shown: str | None = None,
    parts: Sequence[str] = _PARTS,
    targets: Sequence[str] = (),
    bounds: Mapping[str, Bounds] = MappingProxyType({}),
) -> list[Sheet]:
    """The table of `metric_table` and, of several targets, one with a row for each target.

    shown   the column whose metrics of each target are shown; None: the first
    parts   of the data: the metrics of the first of them that has some
    targets   in this order, and the metrics of each in theirs; (): both in the order of the metrics
    bounds    the least and the most that metrics can be: shares are in percent
    """
    table = metric_table(sections, intervals, baseline, bounds)
    column = shown if shown is not None and shown in sections else next(iter(sections), "")
    ends = (intervals or {}).get(column) or {}
    metrics = _in_order(sections.get(column, {}), targets)
    of_targets = _target_table(metrics, ends, baseline, parts, bounds)
    return [table, *([of_targets] if of_targets else [])]


def _in_order(metrics: Mapping[str, object], targets: Sequence[str]) -> Mapping[str, object]:
    """The metrics of each of several targets in the order of these; others stay where they are."""
    place = {target: i for i, target in enumerate(targets)}
    names = sorted(metrics, key=lambda name: place.get(target_of(name) or "", -1))
    return {name: metrics[name] for name in names}


def _target_table(
    metrics: Mapping[str, object],
    ends: Mapping[str, Sequence[float] | None],
    baseline: Baseline | None,
    parts: Sequence[str],
    bounds: Mapping[str, Bounds],
) -> Sheet | None:
    """A row for each of several targets, a column for each metric of the first part that has some; None of one."""
    named = {name: target for name in metrics if (target := target_of(name)) is not None}
    part = next((part for part in parts if any(name.startswith(part) for name in named)), "")
    named = {name: target for name, target in named.items() if name.startswith(part)}
    if not named:
        return None
    cells: dict[str, dict[str, str]] = {}  # by metric, by target
    heads: dict[str, str] = {}
    for name, target in named.items():
        metric = name.partition("(")[0]
        beside = None if baseline is None else reference(name, baseline)
        of = metric_of(name, (), bounds)
        text = number(metrics[name], of) + plus_minus(metrics[name], ends.get(name), of)
        heads.setdefault(metric, metric)
        if baseline is not None and beside is not None:  # which a target of one value alone may not have
            heads[metric] = f"{metric} ({baseline['prediction']})"
        cells.setdefault(metric, {})[target] = text if beside is None else f"{text} ({number(beside, of)})"
    targets = dict.fromkeys(named.values())
    metrics_shown = sorted(cells)  # as in the table of all metrics, however a file of them is ordered
    rows = [[target, *(cells[metric].get(target, "") for metric in metrics_shown)] for target in targets]
    return sheet_of(["target", *(heads[metric] for metric in metrics_shown)], rows)


def metric_table(
    sections: Mapping[str, Mapping[str, object]],
    intervals: Mapping[str, Mapping[str, Sequence[float] | None]] | None = None,
    baseline: Baseline | None = None,
    bounds: Mapping[str, Bounds] = MappingProxyType({}),
) -> Sheet:
    """Metrics of several states side by side: {column: {metric: value}}, and their intervals, if they have a width.

    baseline   of a constant prediction, a column of its own
    bounds     the least and the most that metrics can be: shares are in percent
    """
    rows = []
    names = without_targets(dict.fromkeys(name for section in sections.values() for name in section))
    if baseline and all(reference(name, baseline) is None for name in names):
        baseline = None  # as of a run that diverged before it was evaluated
    head = ["metric", *sections, *([baseline["prediction"]] if baseline else [])]
    for name in sorted(names, key=lambda name: (name.startswith(("grad", "learning", "update")), name)):
        cells, metric = [], metric_of(name, (), bounds)
        for column, section in sections.items():
            low, high = ((intervals or {}).get(column) or {}).get(name) or (0.0, 0.0)
            shown = number(section[name], metric) if name in section else ""
            cells.append(
                shown + (plus_minus(section[name], (low, high), metric) if shown and high > low else "")
            )
        if baseline:
            value = reference(name, baseline)
            cells.append("" if value is None else number(value, metric))
        rows.append([name, *cells])
    return sheet_of(head, rows)
