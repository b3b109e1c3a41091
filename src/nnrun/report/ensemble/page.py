"""The account of an ensemble as pictures, and as a page that holds them and the tables."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Mapping
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from nnrun.report.ensemble.tables import gain_lines, names_of
from nnrun.report.summary import number

__all__ = ["page", "pictures"]

_BLUE, _ORANGE, _GREEN, _GREY = "#0072B2", "#D55E00", "#009E73", "#777777"  # Okabe & Ito 2008
_DPI = 110
_STYLE = "font:14px sans-serif;margin:2em auto;max-width:60em"
_TITLES = {
    "curve": "How many members are enough",
    "reliability": "Calibration",
    "members": "Members and ensemble",
    "barrier": "Along the line between two members",
}


def pictures(account: Mapping[str, Any]) -> dict[str, bytes]:
    """PNGs by name: the curve against the number of members, the reliability diagram, members, the barrier."""
    drawn = {"members": _members(account)}
    if len(account["curve"]) > 1:
        drawn["curve"] = _curve(account)
    if account.get("calibration"):
        drawn["reliability"] = _reliability(account["calibration"])
    if account.get("barrier"):
        drawn["barrier"] = _barrier(account["barrier"])
    return {name: _png(figure) for name, figure in drawn.items()}


def _figure(columns: int = 1) -> tuple[Figure, list[Axes]]:
    figure = Figure(figsize=(5.4 * columns, 3.8), layout="constrained")
    return figure, [figure.add_subplot(1, columns, i + 1) for i in range(columns)]


def _png(figure: Figure) -> bytes:
    content = io.BytesIO()
    FigureCanvasAgg(figure)
    # Neither date nor version: equal accounts are equal files.
    figure.savefig(content, format="png", dpi=_DPI, metadata={"Software": None})
    return content.getvalue()


def _shown(account: Mapping[str, Any]) -> list[str]:
    return [name for name in names_of(account["ensemble"]) if name in ("accuracy", "loss", "rmse")][:2]


def _curve(account: Mapping[str, Any]) -> Figure:
    names, curve = _shown(account), account["curve"]
    figure, axes = _figure(len(names))
    sizes = [point["members"] for point in curve]
    for axis, name in zip(axes, names, strict=True):
        mean, low, high = ([point[name][kind] for point in curve] for kind in ("mean", "low", "high"))
        if all(point["subsets"] == 1 for point in curve):  # of parameters: the best members first
            axis.plot(sizes, mean, "o-", color=_BLUE, label="average of the best by validation")
        else:
            axis.fill_between(sizes, low, high, color=_BLUE, alpha=0.2, label="95% of the subsets")
            axis.plot(sizes, mean, "o-", color=_BLUE, label="mean over subsets")
        if account["best"]:
            value = account["best"]["metrics"][name]
            axis.axhline(value, color=_ORANGE, linestyle="--", label="best member by validation")
        axis.set_xlabel("members")
        axis.set_ylabel(f"{account['split']}/{name}")
        axis.legend(frameon=False, fontsize=8)
    return figure


def _members(account: Mapping[str, Any]) -> Figure:
    names = _shown(account)
    figure, axes = _figure(len(names))
    for axis, name in zip(axes, names, strict=True):
        values = [member["metrics"][name] for member in account["members"]]
        axis.plot(range(1, len(values) + 1), values, "o", color=_GREY, label="members")
        for row, colour, label in (("mean", _ORANGE, "their mean"), ("ensemble", _GREEN, "ensemble")):
            axis.axhline(account[row][name], color=colour, label=label)
        axis.set_xlabel("member")
        axis.set_ylabel(f"{account['split']}/{name}")
        axis.legend(frameon=False, fontsize=8)
    return figure


def _reliability(calibration: Mapping[str, Any]) -> Figure:
    figure, [axis] = _figure()
    axis.plot([0, 1], [0, 1], color=_GREY, linewidth=1, linestyle=":")
    kinds = {"before": (_BLUE, "as predicted"), "after": (_GREEN, "after temperature scaling")}
    for kind, (colour, label) in kinds.items():
        if bins := calibration.get(kind):
            text = f"{label}: error {number(bins['error'])}"
            axis.plot(bins["confidence"], bins["accuracy"], "o-", color=colour, label=text)
    axis.set_xlabel("confidence")
    axis.set_ylabel("accuracy")
    axis.legend(frameon=False, fontsize=8)
    return figure


def _barrier(barrier: Mapping[str, Any]) -> Figure:
    line = barrier["line"]
    names = [name for name in ("loss", "accuracy", "rmse") if name in line[0]][:2]
    figure, axes = _figure(len(names))
    at = [point["alpha"] for point in line]
    for axis, name in zip(axes, names, strict=True):
        axis.plot(at, [point[name] for point in line], "o-", color=_BLUE)
        axis.plot([0, 1], [line[0][name], line[-1][name]], color=_GREY, linewidth=1, linestyle=":")
        axis.set_xlabel(f"{barrier['between'][0]} → {barrier['between'][1]}", fontsize=8)
        axis.set_ylabel(f"{barrier['split']}/{name}")
    return figure


def page(account: Mapping[str, Any], drawn: Mapping[str, bytes]) -> str:
    """One HTML file that needs no other: tables, gains, pictures."""
    title = f"Ensemble of {len(account['members'])}: {account['average']}"
    parts = [f"<h1>{html.escape(title)}</h1>", _table(account)]
    parts += [f"<p>{html.escape(line.plain)}</p>" for line in gain_lines(account)]
    for name in ("curve", "members", "reliability", "barrier"):
        if name in drawn:
            data = base64.b64encode(drawn[name]).decode()
            heading = _TITLES[name]
            parts.append(
                f'<h2>{heading}</h2><img alt="{heading}" style="max-width:100%" src="data:image/png;base64,{data}">'
            )
    head = f"<!doctype html><html lang=en><meta charset=utf-8><title>{html.escape(title)}</title>"
    return f'{head}<body style="{_STYLE}">{"".join(parts)}</body></html>\n'


def _table(account: Mapping[str, Any]) -> str:
    names = names_of(account["ensemble"])
    rows = [(member["name"], member["metrics"]) for member in account["members"]]
    rows.append(("mean member", account["mean"]))
    if account["best"]:
        rows.append((f"best member ({account['best']['name']})", account["best"]["metrics"]))
    rows.append(("ensemble", account["ensemble"]))
    cells = [
        f"<tr><td>{html.escape(label)}"
        + "".join(f"<td align=right>{number(metrics[name])}" for name in names)
        for label, metrics in rows
    ]
    head = "".join(f"<th align=right>{html.escape(name)}" for name in names)
    return f"<table cellpadding=4><tr><th align=left>{account['split']}{head}{''.join(cells)}</table>"
