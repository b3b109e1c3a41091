"""Tables at any width: no number is cut, no name is lost."""

from __future__ import annotations

import io
import random
import re

import pytest
from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from nnrun.report.sheet import Sheet, SheetColumn, sheet_of

WIDTHS = [60, 80, 120, 200]
LONG = "residual_mlp-with-dropconnect-and-stochastic-depth-of-half/"


def lines(sheet: Sheet, width: int) -> list[str]:
    console = Console(file=io.StringIO(), width=width)
    console.print(sheet)
    return console.file.getvalue().splitlines()  # type: ignore[attr-defined]


def leaderboard(names: list[str]) -> Sheet:
    draw = random.Random(1)
    rows = []
    for name in names:
        low, high = sorted((draw.uniform(80, 90), draw.uniform(90, 100)))
        steps = draw.choice(["2400", "40 (5 of 7 seeds)", "–"])
        settings = "  ".join(f"{key}={draw.random():.3g}" for key in ("learning_rate", "dropout", "momentum"))
        rows.append(
            [name, f"{low:.2f}%", f"[{low:.2f}, {high:.2f}]", "7 of 10", f"{high:.2f}%", steps, settings]
        )
    head = [
        "alternative",
        "test/accuracy",
        "95% interval",
        "seeds",
        "val/accuracy on fresh seeds",
        "steps",
        "chosen",
    ]
    return sheet_of(head, rows, ["name", *["number"] * 5, "words"])


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("names", [["sgd", "adam"], [LONG + "sgd", LONG + "adam", "lion"]])
def test_no_number_is_cut_and_no_line_is_too_long(names: list[str], width: int) -> None:
    sheet = leaderboard(names)
    shown = lines(sheet, width)
    assert max(map(cell_len, shown)) <= width
    text = "\n".join(shown)
    for column in sheet.columns[1:-1]:
        for cell in column.cells:
            assert re.search(rf"(?<!\S){re.escape(cell.plain)}(?!\S)", text), cell.plain
    for cell in sheet.columns[-1].cells:  # words are folded, never broken
        assert all(word in text.split() for word in cell.plain.split())
    joined = "".join(line.rstrip() for line in shown)  # a name longer than a line is folded in the list below
    assert all(name in joined for name in names)


def test_what_fits_is_one_table_with_its_heads_on_one_line() -> None:
    shown = lines(leaderboard(["sgd", "adam"]), 1000)
    assert len(shown) == 3
    assert "val/accuracy on fresh seeds" in shown[0]


def test_what_does_not_fit_stands_below_under_the_same_keys() -> None:
    sheet = sheet_of(["a", "b", *"cdefg"], [["x", "y", *["1234567890"] * 5]], keys=2)
    number = "1234567890"
    assert [line.split() for line in lines(sheet, 40)] == [
        ["a", "b", "c", "d", "e"],
        ["x", "y", number, number, number],
        [],
        ["a", "b", "f", "g"],
        ["x", "y", number, number],
    ]


def test_shortened_names_differ_and_are_listed_in_full() -> None:
    names = [f"{'x' * 60}{i}{'y' * 60}" for i in range(3)]
    shown = lines(
        Sheet(
            [SheetColumn("run", [Text(name) for name in names], "name"), SheetColumn("n", [Text("1")] * 3)]
        ),
        80,
    )
    assert len({line.rsplit(maxsplit=1)[0] for line in shown[1:4]}) == 3
    joined = "".join(line.strip() for line in shown)
    assert all(name in joined for name in names)


def test_only_the_widest_key_is_shortened_to_what_the_others_leave() -> None:
    """Of 60 columns keys may take 40%: 24, of which the other one and its gap take 12; 16 are the least."""
    keys = [
        SheetColumn(name, [Text(letter * size)], "name")
        for name, letter, size in (("a", "x", 40), ("b", "y", 10))
    ]
    sheet = Sheet([*keys, SheetColumn("n", [Text("1" * 20)])], keys=2)
    assert lines(sheet, 60)[1].split() == ["x" * 8 + "…" + "x" * 7, "y" * 10, "1" * 20]
    assert lines(sheet, 100)[1].split()[0] == "x" * 40  # all fits


@pytest.mark.parametrize("width", [40, 60])
def test_long_heads_differ_and_are_listed_in_full(width: int) -> None:
    heads = [f"{LONG}{end}_and_more_of_it" for end in ("a", "b")]
    rows = [["model.hidden", "[256]", "[16]"], ["test/accuracy", "97.38%", "89.64%"]]
    found = lines(sheet_of(["run", *heads], rows, ["name", "words", "words"]), width)
    first, second = (line.removeprefix("run").strip() for line in found if line.startswith("run "))
    assert first != second and "…" in first and "…" in second
    text = " ".join(" ".join(found).split())
    assert first in text and all(head in "".join(found).replace(" ", "") for head in heads)
    assert all(cell_len(line) <= width for line in found)


def test_a_table_of_no_rows_is_its_head() -> None:
    assert lines(sheet_of(["run", "step"], []), 80) == ["run  step"]
