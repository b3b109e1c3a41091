"""The account of an ensemble as charts, by what they show: a chart for each metric."""

from __future__ import annotations

import numpy as np

from nnrun.report.chart import Chart, Line
from nnrun.report.drawing import axis_label, scale_of
from nnrun.report.ensemble.account import Account, Barrier
from nnrun.report.ensemble.tables import in_order, names_of
from nnrun.statistics.metric import Metric, all_bounds, metric_of

__all__ = ["charts"]

_TITLES = {
    "curve": "How many members are enough",
    "members": "Members and ensemble",
    "barrier": "Along the line between two members",
}
_CAPTIONS = {
    "curve": "Mean over ensembles of some of the members; the band holds the middle 95% of them.",
    "members": "Each member, from left to right as in the table; their mean, and the ensemble.",
    "barrier": "Weighted averages of two members' parameters; the straight line joins the ends.",
}
_OF_PARAMETERS = "The average of the best member by validation, of the best two, and so on: one of each size."


def charts(account: Account) -> dict[str, list[Chart]]:
    """The curve against the number of members, the members, and the barrier, where they are known."""
    names = [name for name in names_of(account) if name in (account["judge"], "loss")]
    drawn: dict[str, list[Chart]] = {}
    if len(account["curve"]) > 1:
        drawn["curve"] = [_curve(account, name) for name in names]
    drawn["members"] = [_members(account, name) for name in names]
    if barrier := account.get("barrier"):
        drawn["barrier"] = [_barrier(account, barrier, name) for name in names]
    return drawn


def _metric(account: Account, name: str, split: str) -> Metric:
    """A metric of the account on a part of the data."""
    return metric_of(f"{split}/{name}", account["rising"], all_bounds(account["bounds"]))


def _chart(kind: str, metric: Metric, x_label: str, lines: tuple[Line, ...]) -> Chart:
    title = f"{_TITLES[kind]}: {metric}"
    name = f"{kind}-{metric.name.rpartition('/')[2]}"
    return Chart(name, title, _CAPTIONS[kind], x_label, axis_label(metric), lines)


def _curve(account: Account, name: str) -> Chart:
    curve, metric = account["curve"], _metric(account, name, account["split"])
    scale, sizes = scale_of(metric), np.array([point["members"] for point in curve])
    mean, low, high = (
        scale * np.array([point[name][kind] for point in curve]) for kind in ("mean", "low", "high")
    )
    of_parameters = all(point["subsets"] == 1 for point in curve)  # the best members first
    line = (
        Line("average of the best by validation", sizes, mean)
        if of_parameters
        else Line("mean over subsets", sizes, mean, low, high)
    )
    chart = _chart("curve", metric, "members", (line,))._replace(whole=True)
    if of_parameters:
        chart = chart._replace(caption=_OF_PARAMETERS)
    if account["best"]:
        value = scale * account["best"]["metrics"][name]
        chart = chart._replace(level=(value, "best member by validation"))
    return chart


def _members(account: Account, name: str) -> Chart:
    metric = _metric(account, name, account["split"])
    scale = scale_of(metric)
    values = np.array([scale * member["metrics"][name] for member in in_order(account)])
    ends = np.array([1, len(values)])
    levels = [("their mean", account["mean"]), ("ensemble", account["ensemble"])]
    lines = (
        Line("members", np.arange(1, len(values) + 1), values, dots=True),
        *(Line(label, ends, np.full(2, scale * row[name])) for label, row in levels),
    )
    return _chart("members", metric, "member", lines)._replace(whole=True)


def _barrier(account: Account, barrier: Barrier, name: str) -> Chart:
    metric, line = _metric(account, name, barrier["split"]), barrier["line"]
    at = np.array([point["alpha"] for point in line])
    values = scale_of(metric) * np.array([point[name] for point in line])
    straight = Line("straight line", at[[0, -1]], values[[0, -1]])
    label = f"{barrier['between'][0]} → {barrier['between'][1]}"
    return _chart("barrier", metric, label, (Line("average", at, values), straight))
