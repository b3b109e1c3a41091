"""What an evaluation says, as lines and a table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import RenderableType

from nnrun.amounts import figure
from nnrun.errors import counted, one_line
from nnrun.report import summary
from nnrun.report.lines import Folded
from nnrun.report.metric_table import metric_tables
from nnrun.report.values import with_gaps
from nnrun.statistics.metric import Undefined, all_bounds, without_targets

__all__ = ["Evaluated", "evaluation_gaps", "evaluation_view"]

_MARGIN = 4  # characters before further lines of the head

Evaluated = Mapping[str, Any]  # what `nnrun evaluate --json` prints


def evaluation_view(result: Evaluated) -> list[RenderableType]:
    """A line and a table of metrics."""
    checkpoint, reference = result["checkpoint"], result["baseline"]
    bounds = all_bounds(result.get("bounds", {}))
    if "average" in result:
        members = f"mean of {len(result['runs'])} members"
        head = f"{result['run_dir']}  {result['average']}{_beside(result)}"
        metrics = with_gaps(result["metrics"], result.get("undefined", {}))
        rows = {"ensemble": metrics, members: _means(result)}
        tables = metric_tables(rows, {members: result["ci95"]}, reference, bounds=bounds)
        return [Folded(head, _MARGIN), *tables]
    if "runs" in result:
        count, has_intervals = len(result["runs"]), any(result["ci95"].values())
        words = summary.seeds_line(count, count)
        if "folds" in result:
            words = summary.folds_line(count, result["folds"], has_intervals)
        head = f"{result['run_dir']}  {words}{_beside(result)}"
        return [
            Folded(head, _MARGIN),
            *metric_tables(
                {checkpoint: _means(result)}, {checkpoint: result["ci95"]}, reference, bounds=bounds
            ),
        ]
    head = f"{result['run_dir']}  step {result['step']}{_beside(result)}"
    metrics = with_gaps(result["metrics"], result.get("undefined", {}))
    return [Folded(head, _MARGIN), *metric_tables({checkpoint: metrics}, None, reference, bounds=bounds)]


def _means(result: Evaluated) -> dict[str, object]:
    """The means over runs; where one of them has no value of a metric, there is no mean of it."""
    gaps = {
        name: Undefined(reason)
        for part in result["runs"]
        for name, reason in part.get("undefined", {}).items()
        if name not in result["mean"]
    }
    return {**result["mean"], **gaps}


def _beside(result: Evaluated) -> str:
    """The file that was measured on, if it is no part of the run's data, and the temperatures of probabilities."""
    file = (
        f"  {counted(result['examples'], 'example')} of {one_line(result['input'])}"
        if "input" in result
        else ""
    )
    parts = (result, *([] if "average" in result else result.get("runs", ())))
    temperatures = [figure(part["temperature"]) for part in parts if "temperature" in part]
    parameters = f"  {result['parameters']}" if "parameters" in result else ""
    return parameters + file + (f"  temperature {', '.join(temperatures)}" if temperatures else "")


def evaluation_gaps(result: Evaluated) -> list[str]:
    """A line for each reason that metrics have no value."""
    names: dict[str, dict[str, None]] = {}
    for part in (result, *result.get("runs", ())):
        for name, reason in part.get("undefined", {}).items():
            names.setdefault(reason, {})[name] = None
    shown = {reason: without_targets(metrics) for reason, metrics in names.items()}
    return [summary.undefined(metrics, reason) for reason, metrics in shown.items() if metrics]
