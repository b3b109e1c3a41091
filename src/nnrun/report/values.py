"""Values of metrics as everything shows them: shares in percent, and those that have no value as undefined."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from nnrun.amounts import figure
from nnrun.record.summary import GroupSummary, Summary
from nnrun.statistics.metric import SHARE, Bounds, Metric, Undefined, all_bounds, last_part

__all__ = [
    "NO_METRIC", "SHARED", "UNDEFINED", "bounds_in", "level", "mean_with_gaps", "number", "plus_minus",
    "span", "with_gaps",
]  # fmt: skip

NO_METRIC = Metric("", False)  # whose values are numbers as they are
SHARED = Metric("", True, SHARE)  # whose values are shares, of which more is better


UNDEFINED = "undefined"  # in place of a metric that has no value; a warning says why


def level(metric: Metric, value: float | None) -> str:
    """A value of a metric: 97.91% for a share, four digits else; a dash for none."""
    if value is None:
        return "–"
    if isinstance(value, Undefined):
        return UNDEFINED
    return f"{100 * value:.2f}%" if metric.share and math.isfinite(value) else figure(value)


def span(metric: Metric, low: float | None, high: float | None) -> str:
    """An interval in brackets, in the units of `level`; nothing for none."""
    if low is None or high is None:
        return ""
    if metric.share:
        return f"[{100 * low:.2f}, {100 * high:.2f}]"
    return f"[{figure(low)}, {figure(high)}]"


def number(value: object, metric: Metric = NO_METRIC) -> str:
    """Four digits of a number, or all before its point; of a share percent; what is no number as it is."""
    return level(metric, value) if isinstance(value, (int, float)) else str(value)


def plus_minus(mean: object, ends: Sequence[float] | None, metric: Metric = NO_METRIC) -> str:
    """` ± 0.012`, or ` [0.93, 1]` where an interval was cut to what its metric can be; "" where there is none.

    Of a share it is in points.
    """
    if ends is None or not isinstance(mean, (int, float)):
        return ""
    low, high = ends
    if math.isclose(high - mean, mean - low, rel_tol=1e-6, abs_tol=1e-12 * abs(mean)):
        return f" ± {figure((100 if metric.share else 1) * (high - low) / 2, 2)}"
    return f" {span(metric, low, high)}"


def bounds_in(summary: Summary) -> dict[str, Bounds]:
    """The least and the most that the metrics of a run, or of the runs of a group, can be."""
    members = summary.get("runs", [summary])
    return {name: pair for member in members for name, pair in all_bounds(member.get("bounds", {})).items()}


def with_gaps(
    metrics: Mapping[str, object], undefined: Mapping[str, str] = MappingProxyType({})
) -> dict[str, object]:
    """Metrics of a file or log, in which those that have no value are `Undefined`.

    undefined   why, by name; where nothing says it, NaN beside a finite loss is that of a metric without a value
    """

    def is_gap(name: str, value: object) -> bool:
        loss = metrics.get(name.removesuffix(last_part(name)) + "loss")
        is_nan = value == "nan" or (isinstance(value, float) and math.isnan(value))
        return is_nan and isinstance(loss, int | float) and math.isfinite(loss)

    return {
        name: Undefined(undefined.get(name, ""))
        if is_gap(name, value) or (name in undefined and not isinstance(value, int | float))
        else value
        for name, value in metrics.items()
    }


def mean_with_gaps(summary: GroupSummary, section: str) -> dict[str, object]:
    """The means of a group; those that a run has no value of, so that there is no mean, are `Undefined`."""
    means, gaps = summary["mean"].get(section, {}), dict[str, object]()
    for member in summary["runs"]:
        known = member.get("metrics", {}).get(section, {}) if member["status"] == "done" else {}
        gaps |= {
            name: Undefined(reason)
            for name, reason in member.get("undefined", {}).items()
            if name in known and name not in means and not isinstance(known[name], int | float)
        }
    return {**means, **gaps}
