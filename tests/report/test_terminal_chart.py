"""Curves of one metric on one axis in characters: cells by hand, bands, and what a narrow terminal shows."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console, RenderableType

from nnrun.commands._plain import plain
from nnrun.report.chart import Line
from nnrun.report.table import show_view
from nnrun.report.terminal_chart import TerminalChart, _means

COLUMNS = 48  # of 60, without the names of rows and the axis
STEPS = np.arange(COLUMNS)


def chart(*lines: Line, open_ended: bool = False) -> TerminalChart:
    return TerminalChart(lines, "3 seeds", open_ended, 13)


def shown(content: RenderableType, width: int = 60) -> list[str]:
    console = Console(file=io.StringIO(), width=width, highlight=False)
    console.print(content)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]  # type: ignore[attr-defined]


def cells(lines: list[str]) -> list[str]:
    """The eight rows, the highest first, without what stands before the axis."""
    rows = [line.partition("│")[2].ljust(COLUMNS) for line in lines if "│" in line]
    assert len(rows) == 8
    return rows


def test_each_value_is_in_its_half_of_a_row() -> None:
    """Sixteen values from 0 to 1, three times: each row has the two that are nearest to it, the lower one first."""
    line = Line("val/accuracy", STEPS, (STEPS % 16) / 15)
    lines = shown(chart(line))
    assert cells(lines) == [
        (" " * (14 - 2 * i) + "▄▀" + " " * (2 * i)) * 3 for i in range(8)
    ]  # the highest row has the last two of each sixteen
    assert lines[0] == "▄▀ val/accuracy 1"
    assert [line.split("│")[0].strip() for line in lines[1:9]] == ["1", *[""] * 6, "0"]
    assert lines[9:] == [" " * 11 + "└" + "─" * COLUMNS, " " * 12 + "step 0" + "47".rjust(COLUMNS - 6)]


def test_the_last_line_lies_above_the_first_and_both_above_their_bands() -> None:
    """Half a row is 1/15: 0.5 is in the fifth row from below, 0 in the first, 1 in the last."""
    middle = np.full(COLUMNS, 0.5)
    ends = np.where(STEPS < 24, 0.0, 1.0)
    half = np.where(STEPS % 2, 0.5, 0.0)  # every other column has a band over everything
    train = Line("train/accuracy", STEPS, middle, middle - half, middle + half)
    lines = shown(chart(train, Line("val/accuracy", STEPS, ends)))
    rows = cells(lines)
    assert rows[0] == " ░" * 12 + "▀" * 24 and rows[7] == "▄" * 24 + " ░" * 12
    assert rows[3] == "⠤" * COLUMNS  # 7.5 is rounded to the even 8, the lower half of the fifth row
    assert rows[1] == rows[2] == rows[4] == rows[5] == rows[6] == " ░" * 24
    same = cells(shown(chart(train, Line("val/accuracy", STEPS, np.where(STEPS == 0, 0.0, middle)))))
    assert sum(row.count("⠤") + row.count("⠉") for row in same) == 1  # where only the first line is


def test_errors_of_several_sizes_have_a_logarithmic_axis() -> None:
    """From 1 down to 1e-5 and back: each factor of ten is three halves of a row."""
    exponents = -np.abs((STEPS % 12) - 5)[:COLUMNS].clip(max=5)
    line = Line("val/loss", STEPS, 10.0 ** exponents.clip(-5))
    lines = shown(chart(line, open_ended=True))
    assert "logarithmic" in lines[0]
    rows = cells(lines)
    for column, exponent in enumerate(exponents.clip(-5)):
        level = 15 + 3 * int(exponent)
        assert rows[7 - level // 2][column] == "▄▀"[level % 2]
    assert "logarithmic" not in shown(chart(line))[0]  # a share, of which 1 is the most
    near = Line("val/loss", STEPS, 1.0 + STEPS / 10)
    assert "logarithmic" not in shown(chart(near, open_ended=True))[0]


def test_what_lies_beyond_the_settled_part_is_at_the_end_of_the_axis() -> None:
    """The first four of 48 columns are steep; the axis is that of the others, and says so."""
    values = np.concatenate([[0.1, 0.3, 0.5, 0.7], 0.9 + 0.1 * (np.arange(44) % 2)])
    lines = shown(chart(Line("val/accuracy", STEPS, values)))
    assert cells(lines)[7] == "▄▄▄▄" + "▄ " * 22 and cells(lines)[0] == "    " + " ▀" * 22
    assert lines[8].strip().startswith("≤ 0.9 │") and lines[1].strip().startswith("1 │")


def test_a_constant_curve_has_one_name_for_its_row() -> None:
    lines = shown(chart(Line("val/accuracy", STEPS, np.full(COLUMNS, 0.25))))
    assert [line.split("│")[0].strip() for line in lines[1:9]] == ["", "", "", "0.25", "", "", "", ""]
    assert cells(lines)[3] == "▄" * COLUMNS


def test_the_mean_of_the_values_nearest_to_a_place() -> None:
    x, y = np.arange(5), np.array([10.0, 20.0, 30.0, 40.0, 50.0])
    assert _means(x, y, np.array([0.0, 2.0, 4.0])).tolist() == [15.0, 35.0, 50.0]
    assert _means(np.array([0, 4]), np.array([0.0, 8.0]), np.arange(5.0)).tolist() == [0, 2, 4, 6, 8]
    outside = _means(np.array([1, 2]), np.array([5.0, 7.0]), np.arange(4.0))
    assert np.isnan(outside[[0, 3]]).all() and outside[1:3].tolist() == [5.0, 7.0]
    with_gap = _means(np.arange(3), np.array([1.0, np.nan, 3.0]), np.arange(3.0))
    assert with_gap.tolist() == [1.0, 2.0, 3.0]
    assert np.isnan(_means(np.arange(2), np.array([np.inf, np.nan]), np.arange(2.0))).all()


def test_a_narrow_terminal_has_bars_with_the_interval_of_the_last_value() -> None:
    values = STEPS / 47
    line = Line("val/accuracy", STEPS, values, values - 0.1, values + 0.1)
    (row,) = shown(chart(line), 59)
    assert row.startswith("val/accuracy ▁") and row.endswith("█ 1 ± 0.1") and len(row) <= 59
    assert "│" in shown(chart(line), 60)[1]


@pytest.mark.parametrize("width", [60, 72, 200])
def test_it_is_as_wide_as_the_terminal_and_no_wider_than_72(width: int) -> None:
    lines = shown(chart(Line("val/accuracy", STEPS, STEPS / 47)), width)
    assert max(map(len, lines)) == min(width, 72)


def test_in_ascii() -> None:
    half = np.where(STEPS % 2, 0.5, 0.0)
    middle = np.full(COLUMNS, 0.5)
    train = Line("train/loss", STEPS, middle, middle - half, middle + half)
    content = plain(chart(train, Line("val/loss", STEPS, np.where(STEPS < 24, 0.0, 1.0))))
    text = "\n".join(shown(content))
    assert text.isascii()
    assert "** val/loss 1  -- train/loss 0.5 +- 0.5" in text.replace("\n", "  ")
    assert "|" + " ." * 12 + "*" * 24 in text and "|" + "-" * COLUMNS in text
    assert "+" + "-" * COLUMNS in text


def write(folder: Path, name: str, offset: float) -> None:
    place = folder / name
    place.mkdir(parents=True)
    rows = [
        f'{{"step": {10 * i}, "train/loss": {1 / i}, "val/loss": {1 / i + offset}, "val/f1": 0.5}}'
        for i in range(1, 13)
    ]
    (place / "metrics.jsonl").write_text("\n".join(rows) + "\n")
    (place / "state.json").write_text('{"status": "running"}')


def test_show_has_a_chart_of_the_loss_and_bars_of_the_rest(tmp_path: Path) -> None:
    """Of a run that nothing says how it is judged: twelve points are enough for a chart, and its axis is shared."""
    write(tmp_path, "run", 0.25)
    lines = shown(show_view(tmp_path / "run"), 80)
    start = lines.index("▄▀ val/loss 0.3333  ⠤⠉ train/loss 0.08333  logarithmic")
    assert lines[start + 1].split() == ["1.25", "│▀▀▄▄"]  # down to 1.14, down to 0.95
    assert lines[start + 8].startswith("   0.08333 │") and lines[start + 8].endswith("⠤")
    assert lines[start + 10].split() == ["step", "10", "120"]
    assert any(line.startswith("val/f1") and line.endswith(" 0.5") for line in lines[start + 11 :])
    assert not any(line.startswith(("val/loss", "train/loss")) for line in lines[start:])
