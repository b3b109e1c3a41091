"""The account of an ensemble as pictures, and as a page that holds them and the tables."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from html import escape
from typing import TYPE_CHECKING

import numpy as np

from nnrun.errors import one_line
from nnrun.report.chart import Chart
from nnrun.report.drawing import COLOURS, Picture, png
from nnrun.report.drawn import figure_of_all
from nnrun.report.ensemble.account import Account, Calibration
from nnrun.report.ensemble.charts import charts
from nnrun.report.ensemble.tables import (
    answer_line,
    gain_lines,
    head_of,
    in_order,
    metric_in,
    names_of,
    notes,
)
from nnrun.report.html import PageColumn, document, figure, table
from nnrun.report.interactive import chart_html, head
from nnrun.report.run.examples import STYLE, examples_html
from nnrun.report.run.looked import Looked
from nnrun.report.values import number, with_gaps

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["page", "pictures"]

_GREY = "#777777"
_DPI = 110
_TITLES = {
    "curve": "How many members are enough",
    "members": "Members and ensemble",
    "barrier": "Along the line between two members",
}
_CALIBRATION = (
    "Accuracy against confidence on the {split} part, in bins of equal width; on the dotted line they are equal. "
    "A larger dot is a bin of more examples."
)


def pictures(account: Account) -> list[Picture]:
    """The curve against the number of members, members, the barrier, the reliability diagram."""
    images = [
        Picture(kind, _TITLES[kind], drawn[0].caption, png(figure_of_all(drawn), _DPI))
        for kind, drawn in charts(account).items()
    ]
    if calibration := account.get("calibration"):
        caption = _CALIBRATION.format(split=account["split"])
        images.append(Picture("reliability", "Calibration", caption, png(_reliability(calibration), _DPI)))
    return images


def _reliability(calibration: Calibration) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.4, 3.8), layout="constrained")
    axis = figure.add_subplot()
    axis.plot([0, 100], [0, 100], color=_GREY, linewidth=1, linestyle=":")
    for bins, colour, label in (
        (calibration.get("before"), COLOURS[0], "as predicted"),
        (calibration.get("after"), COLOURS[2], "after temperature scaling"),
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
    drawn = charts(account) if images else {}
    if images:
        shown = "".join(_picture(drawn.get(image.name, []), image) for image in images)
        parts.append(f'<h2>Pictures</h2><div class="pictures">{shown}</div>')
    sections = [examples_html(entry, "", "the ensemble") for entry in looked]
    scripts = head() if sections or drawn else ""
    lines = "".join(f'<p class="dim">{escape(line)}</p>' for line in origin)
    sections.append(f"<h2>The ensemble</h2>{_members_table(account)}{lines}")
    return document(f"nnrun ensemble: {title}", parts + sections, scripts, STYLE)


def _picture(drawn: Sequence[Chart], image: Picture) -> str:
    """The charts that a picture shows, which answer to the pointer, or the picture where it shows none."""
    if not drawn:
        return figure(image)
    return "".join(chart_html(chart, b"" if i else image.png) for i, chart in enumerate(drawn))


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
    filled = [(label, with_gaps(metrics)) for label, metrics in rows]
    columns = [PageColumn(account["split"], "name"), *(PageColumn(head_of(name), "number") for name in names)]
    cells = [
        [
            label,
            *(number(metrics[name], metric_in(account, name)) if name in metrics else "" for name in names),
        ]
        for label, metrics in filled
    ]
    return table(columns, cells, best=len(cells) - 1)
