"""The account of an ensemble as pictures, and as a page that holds them and the tables."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from html import escape

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from nnrun.errors import one_line
from nnrun.report import drawing
from nnrun.report.drawing import COLOURS, Picture, axis_label, scale_of
from nnrun.report.ensemble.account import Account, Barrier, Calibration
from nnrun.report.ensemble.tables import answer_line, gain_lines, head_of, in_order, names_of, notes
from nnrun.report.html import PageColumn, document, figure, table
from nnrun.report.interactive import head
from nnrun.report.run.examples import STYLE, examples_html
from nnrun.report.run.looked import Looked
from nnrun.report.summary import number
from nnrun.statistics.metric import Metric, all_bounds, metric_of

__all__ = ["page", "pictures"]

_BLUE, _ORANGE, _GREEN = COLOURS[:3]
_GREY = "#777777"
_DPI = 110
_TITLES = {
    "curve": "How many members are enough",
    "members": "Members and ensemble",
    "reliability": "Calibration",
    "barrier": "Along the line between two members",
}
_CAPTIONS = {
    "curve": "Mean over ensembles of some of the members; the band holds the middle 95% of them.",
    "members": "Each member, from left to right as in the table; their mean, and the ensemble.",
    "reliability": "Accuracy against confidence on the {split} part, in bins of equal width; on the dotted line they "
    "are equal. A larger dot is a bin of more examples.",
    "barrier": "Weighted averages of two members' parameters; the dotted line joins the ends.",
}
_OF_PARAMETERS = "The average of the best member by validation, of the best two, and so on: one of each size."


def pictures(account: Account) -> list[Picture]:
    """The curve against the number of members, the reliability diagram, members, the barrier."""
    drawn = {"members": _members(account)}
    if len(account["curve"]) > 1:
        drawn["curve"] = _curve(account)
    if calibration := account.get("calibration"):
        drawn["reliability"] = _reliability(calibration)
    if barrier := account.get("barrier"):
        drawn["barrier"] = _barrier(account, barrier)
    captions = dict(_CAPTIONS)
    if all(point["subsets"] == 1 for point in account["curve"]):
        captions["curve"] = _OF_PARAMETERS
    return [
        Picture(name, _TITLES[name], captions[name].format(**account), drawing.png(drawn[name], _DPI))
        for name in _TITLES
        if name in drawn
    ]


def _figure(rows: int = 1) -> tuple[Figure, list[Axes]]:
    """Axes above each other: beside each other their letters would be too small on a page."""
    figure = Figure(figsize=(5.4, 3.8 if rows == 1 else 2.9 * rows), layout="constrained")
    return figure, [figure.add_subplot(rows, 1, i + 1) for i in range(rows)]


def _shown(account: Account) -> list[str]:
    """The metrics that are drawn: the one that judges, and the loss."""
    return [name for name in names_of(account) if name in (account["judge"], "loss")]


def _metric(account: Account, name: str, split: str) -> Metric:
    """A metric of the account on a part of the data."""
    return metric_of(f"{split}/{name}", account["rising"], all_bounds(account["bounds"]))


def _curve(account: Account) -> Figure:
    names, curve = _shown(account), account["curve"]
    figure, axes = _figure(len(names))
    sizes = [point["members"] for point in curve]
    for axis, name in zip(axes, names, strict=True):
        metric = _metric(account, name, account["split"])
        scale = scale_of(metric)
        mean, low, high = ([scale * point[name][kind] for point in curve] for kind in ("mean", "low", "high"))
        if all(point["subsets"] == 1 for point in curve):  # of parameters: the best members first
            axis.plot(sizes, mean, "o-", color=_BLUE, label="average of the best by validation")
        else:
            axis.fill_between(sizes, low, high, color=_BLUE, alpha=0.2, label="95% of the subsets")
            axis.plot(sizes, mean, "o-", color=_BLUE, label="mean over subsets")
        if account["best"]:
            value = scale * account["best"]["metrics"][name]
            axis.axhline(value, color=_ORANGE, linestyle="--", label="best member by validation")
        axis.set_xlabel("members")
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
        axis.set_ylabel(axis_label(metric))
        axis.legend(frameon=False, fontsize=8)
    return figure


def _members(account: Account) -> Figure:
    names = _shown(account)
    figure, axes = _figure(len(names))
    for axis, name in zip(axes, names, strict=True):
        metric = _metric(account, name, account["split"])
        scale = scale_of(metric)
        values = [scale * member["metrics"][name] for member in in_order(account)]
        axis.plot(range(1, len(values) + 1), values, "o", color=_GREY, label="members")
        for row, colour, label in (
            (account["mean"], _ORANGE, "their mean"),
            (account["ensemble"], _GREEN, "ensemble"),
        ):
            axis.axhline(scale * row[name], color=colour, label=label)
        axis.set_xlabel("member")
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
        axis.set_ylabel(axis_label(metric))
        axis.legend(frameon=False, fontsize=8)
    return figure


def _reliability(calibration: Calibration) -> Figure:
    figure, [axis] = _figure()
    axis.plot([0, 100], [0, 100], color=_GREY, linewidth=1, linestyle=":")
    for bins, colour, label in (
        (calibration.get("before"), _BLUE, "as predicted"),
        (calibration.get("after"), _GREEN, "after temperature scaling"),
    ):
        if bins:
            text = f"{label}: error {100 * bins['error']:.2f}%"
            x, y = (100 * np.array(bins[name]) for name in ("confidence", "accuracy"))
            areas = 10 + 90 * np.array(bins["counts"]) / max(bins["counts"])
            axis.plot(x, y, color=colour, linewidth=0.8, alpha=0.5)
            axis.scatter(x, y, areas, color=colour, label=text, alpha=0.8, linewidths=0, zorder=3)
    axis.set_xlabel("confidence (%)")
    axis.set_ylabel("accuracy (%)")
    axis.legend(frameon=False, fontsize=8)
    return figure


def _barrier(account: Account, barrier: Barrier) -> Figure:
    names = _shown(account)
    line = barrier["line"]
    figure, axes = _figure(len(names))
    at = [point["alpha"] for point in line]
    for axis, name in zip(axes, names, strict=True):
        metric = _metric(account, name, barrier["split"])
        values = [scale_of(metric) * point[name] for point in line]
        axis.plot(at, values, "o-", color=_BLUE)
        axis.plot([0, 1], [values[0], values[-1]], color=_GREY, linewidth=1, linestyle=":")
        axis.set_xlabel(f"{barrier['between'][0]} → {barrier['between'][1]}", fontsize=8)
        axis.set_ylabel(axis_label(metric))
    return figure


def page(
    account: Account,
    images: Sequence[Picture],
    looked: Iterable[Looked] = (),
    origin: Sequence[str] = (),
) -> str:
    """One HTML file that needs no other: tables, gains, pictures, and what was looked at in the data.

    origin   lines that say where the ensemble came from
    """
    title = f"Ensemble of {len(account['members'])}: {account['average']}"
    answer = answer_line(account)
    lead = [f'<p class="lead">{escape(answer)}</p>'] if answer else []
    cautions = [f'<p class="note">{escape(caution)}</p>' for caution in account.get("cautions", [])]
    parts = [f"<h1>{escape(title)}</h1>", *lead, *cautions, _table(account)]
    gains = "".join(f"<li>{escape(line.plain)}</li>" for line in gain_lines(account))
    parts += [f"<ul>{gains}</ul>"] if gains else []
    parts += [f'<p class="dim">{escape(note)}</p>' for note in notes(account)]
    if images:
        parts.append('<h2>Pictures</h2><div class="pictures">' + "".join(map(figure, images)) + "</div>")
    sections = [examples_html(entry, "", "the ensemble") for entry in looked]
    scripts = head() if sections else ""
    lines = "".join(f'<p class="dim">{escape(line)}</p>' for line in origin)
    sections.append(f"<h2>The ensemble</h2>{_members_table(account)}{lines}")
    return document(f"nnrun ensemble: {title}", parts + sections, scripts, STYLE)


def _members_table(account: Account) -> str:
    """What was averaged: of each member its run, and the digest of its arrays; and what differs between them."""
    members = in_order(account)
    columns: dict[PageColumn, list[str]] = {
        PageColumn("member"): [member["name"] for member in members],
        PageColumn("step", "number"): [str(member["step"]) for member in members],
        PageColumn("epochs", "number"): [number(member["epochs"]) for member in members],
        PageColumn("parameters"): [member["parameters"] for member in members],
        PageColumn("weight", "number"): [f"{member['weight']:.3f}" for member in members],
        PageColumn("data"): [member.get("data_digest", "")[:10] for member in members],
        PageColumn("SHA-256"): [member["sha256"][:10] for member in members],
        PageColumn("run"): [one_line(member["run"], 120) for member in members],
    }
    kept = {column: cells for column, cells in columns.items() if _tells(column.name, {*cells})}
    return table([*kept], zip(*kept.values(), strict=True))


def _tells(name: str, cells: Collection[str]) -> bool:
    """Whether a column of the members is worth its room: not where all have what is usual."""
    if name == "parameters":
        return cells != {"trained"}
    return name not in ("data", "weight") or len(cells) > 1


def _table(account: Account) -> str:
    names = names_of(account)
    rows = [(member["name"], member["metrics"]) for member in in_order(account)]
    rows.append(("mean member", account["mean"]))
    if account["best"]:
        rows.append((f"best member ({account['best']['name']})", account["best"]["metrics"]))
    if reference := account.get("baseline"):
        rows.append((reference["prediction"], dict(reference["metrics"])))
    rows.append(("ensemble", account["ensemble"]))
    columns = [PageColumn(account["split"], "name"), *(PageColumn(head_of(name), "number") for name in names)]
    cells = [
        [label, *(number(metrics[name]) if name in metrics else "" for name in names)]
        for label, metrics in rows
    ]
    return table(columns, cells, best=len(cells) - 1)
