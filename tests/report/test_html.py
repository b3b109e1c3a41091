"""The shell of reports, what pictures share, curves as text, and the catalogue as a table."""

from __future__ import annotations

import base64
import io
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from matplotlib.figure import Figure
from rich.console import Console

from nnrun.report import catalogue
from nnrun.report.drawing import COLOURS, Picture, axis_label, look, plain, png, scale_of
from nnrun.report.html import PageColumn, document, figure, table
from nnrun.report.plot import curve
from nnrun.statistics.metric import SHARE, Metric

HOSTILE = '<script>alert("x")</script>&amp;\''


class Cells(HTMLParser):
    """The text of every cell, row by row, and the classes of rows."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.classes: list[str | None] = []
        self.inside = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "tr":
            self.rows.append([])
            self.classes.append(dict(attrs).get("class"))
        self.inside = tag in ("td", "th")
        if self.inside:
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        self.inside = False

    def handle_data(self, data: str) -> None:
        if self.inside:
            self.rows[-1][-1] += data


def test_a_table_keeps_every_text_as_text():
    parser = Cells()
    parser.feed(
        table([PageColumn("name"), PageColumn(HOSTILE, "number")], [["a", HOSTILE], ["b", "2"]], best=1)
    )
    assert parser.rows == [["name", HOSTILE], ["a", HOSTILE], ["b", "2"]]
    assert parser.classes == [None, None, "best"]


def test_a_row_has_a_cell_for_each_column():
    with pytest.raises(ValueError, match="zip"):
        table([PageColumn("a"), PageColumn("b")], [["1"]])


def test_a_document_is_whole_and_needs_no_other_file():
    text = document(HOSTILE, ["<p>one</p>", "", "<p>two</p>"])
    assert text.startswith("<!doctype html><html lang=") and text.endswith("</html>\n")
    assert "<script" not in text
    assert "<p>one</p>\n<p>two</p>" in text
    assert not re.search(r"(?:src|href)=|url\(|@import", text)
    assert 'name="viewport"' in text


def test_a_figure_holds_its_picture():
    text = figure(Picture("a", HOSTILE, "caption & more", b"\x89PNG content"))
    [data] = re.findall(r'src="data:image/png;base64,([^"]+)"', text)
    assert base64.b64decode(data) == b"\x89PNG content"
    assert "<figcaption>caption &amp; more</figcaption>" in text
    assert "<script" not in text
    assert "figcaption" not in figure(Picture("a", "title", "", b""))


def test_colours_repeat_with_another_line_style():
    looks = [look(i) for i in range(3 * len(COLOURS))]
    assert len({(style["color"], style["linestyle"]) for style in looks}) == 3 * len(COLOURS)
    assert look(0)["color"] == look(len(COLOURS))["color"]
    assert look(3 * len(COLOURS)) == look(0)


def test_names_in_pictures_are_short_and_no_formula():
    assert plain("a$b$") == r"a\$b\$"
    assert plain("a\nb\x00") == "a?b?"
    assert plain("x" * 30) == "x" * 23 + "…"
    assert plain("x" * 24) == "x" * 24


def test_a_share_is_shown_in_percent():
    accuracy, loss = Metric("test/accuracy", True, SHARE), Metric("val/loss", False)
    assert (scale_of(accuracy), axis_label(accuracy)) == (100, "test/accuracy (%)")
    assert (scale_of(loss), axis_label(loss)) == (1, "val/loss")


def test_equal_figures_are_equal_files():
    def drawn(value: float) -> bytes:
        drawing = Figure()
        drawing.add_subplot().plot([0, value])
        return png(drawing, 50)

    assert drawn(1.0) == drawn(1.0) != drawn(2.0)


def test_a_curve_of_numbers_as_text():
    text = curve([0.0, 0.5, 1.0, 2.0, -1.0], ("0", "end"))
    lines = text.splitlines()
    assert len(lines) == 12
    assert lines[0].startswith("  1 │") and lines[9].startswith("  0 │")
    columns = [[line.ljust(10)[5 + i] for line in lines[:10]] for i in range(5)]
    heights = [sum(" ▁▂▃▄▅▆▇█".index(cell) for cell in column) for column in columns]
    assert heights == [0, 40, 80, 80, 0]  # eighths of ten rows
    assert lines[10] == "    └─────"
    assert lines[11] == "     0 end"


def test_a_curve_is_as_fine_as_an_eighth_of_a_row():
    values = np.linspace(0, 1, 81)
    columns = zip(
        *(line[5:].ljust(81) for line in curve(values.tolist(), ("", "")).splitlines()[:10]), strict=True
    )
    heights = [sum(" ▁▂▃▄▅▆▇█".index(cell) for cell in column) for column in columns]
    assert heights == list(range(81))


def test_the_catalogue_names_each_kind_once():
    console = Console(file=io.StringIO(), width=80)
    console.print(
        catalogue.table({"optimizer": {"adam": "Adam.", "sgd": "[SGD]"}, "loss": {"mse": "Squares."}})
    )
    lines = [line.split() for line in console.file.getvalue().splitlines()]  # type: ignore[attr-defined]
    assert lines == [["optimizer", "adam", "Adam."], ["sgd", "[SGD]"], ["loss", "mse", "Squares."]]
