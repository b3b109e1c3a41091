"""Lines of a terminal that fit its width."""

from __future__ import annotations

import io

import pytest
from rich.cells import cell_len
from rich.console import Console, RenderableType

from nnrun.report.lines import CurveLine, Folded
from nnrun.report.live import sparkline


def printed(what: RenderableType, width: int) -> list[str]:
    file = io.StringIO()
    Console(file=file, width=width).print(what)
    return file.getvalue().splitlines()


@pytest.mark.parametrize("width", [40, 60, 80])
def test_what_does_not_fit_stands_below_its_text(width: int) -> None:
    text = "fit      " + "it overfits from step 7 on and val/loss was 0.9331 there; " * 4
    first, *rest = printed(Folded(text, 9), width)
    assert first.startswith("fit      it overfits") and rest
    assert all(line.startswith(" " * 9) and not line.startswith(" " * 10) for line in rest)
    assert all(len(line) <= width for line in [first, *rest])
    assert "".join(line[9:] + " " for line in [first, *rest]).split() == text[9:].split()
    assert printed(Folded("on       cpu", 9), width) == ["on       cpu"]


def test_letters_of_two_columns_count_as_two() -> None:
    text = (
        "feature    number     温度温度温度: 1 input; missing: 0.997372 (mean); 20 of 300 cells are missing"
    )
    for width in range(44, 90):
        lines = printed(Folded(text, 22), width)
        assert all(cell_len(line) <= width for line in lines)
        assert all(line.startswith(" " * 22) and line[22] != " " for line in lines[1:])
        assert " ".join(line.strip() for line in lines) == text


@pytest.mark.parametrize("width", [30, 60, 120])
def test_a_number_stays_in_the_line_of_its_curve(width: int) -> None:
    (line,) = printed(CurveLine("train/rmse", [float(i) for i in range(200)], 11), width)
    assert line.startswith("train/rmse ▁") and line.endswith("█ 199") and len(line) <= width


def test_curves_of_different_lengths_have_one_axis() -> None:
    long, short = [0.0] * 150 + [1.0] * 150, [0.0] * 23 + [1.0] * 23
    assert sparkline(long) == sparkline(short) == "▁" * 20 + "█" * 20
    assert sparkline([1.0, 2.0]) == "▁█"
