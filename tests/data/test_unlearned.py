"""Columns of a table that vary, but not in the part that is trained on: each has one note."""

from __future__ import annotations

from pathlib import Path

import pytest

from nnrun.data._prepare import prepare
from nnrun.data.csv import csv

ROWS = 40  # in the order of time; the first 24 are trained on


@pytest.fixture
def table(tmp_path: Path) -> str:
    lines = ["t,machine,heat,day,fixed,place,free,y"]
    for i in range(ROWS):
        late = i >= 24
        day, place = f"2024-01-{1 + late * i % 28:02}", "w" if late and i % 3 else "uv"[i % 2]
        cells = [i, "b" if late else "a", 7.5 + late * i, day, 3, place, i % 5, i % 2]
        lines.append(",".join(map(str, cells)))
    (tmp_path / "table.csv").write_text("\n".join(lines) + "\n")
    return str(tmp_path / "table.csv")


def notes(table: str, **options) -> dict[str, str]:
    source = csv(
        table, "y", time="t", categorical=["machine", "place"], dates={"day": ["days", "weekday"]}, **options
    )
    about = prepare(source, validation=0.2, test=0.2, split_seed=0).about
    return {column.name: column.note for column in about if column.note}


def test_each_column_of_which_nothing_is_learned_is_named(table: str):
    assert notes(table) == {
        "machine": "always a in the training part, so nothing is learned of it",
        "heat": "the same (7.5) in the whole training part, so nothing is learned of it",
        "day": "the same in the whole training part, so nothing is learned of it",
        "fixed": "says nothing: constant",
        "place": "not in the training part, so nothing is learned of: w",
    }


def test_names_that_are_known_from_the_training_part_alone_have_examples(table: str):
    found = notes(table, unknown="zeros")
    assert "place" not in found
    assert found["machine"] == "always a in the training part, so nothing is learned of it"


def test_where_rows_are_drawn_all_is_learned(table: str):
    source = csv(table, "y", exclude=["t", "fixed"], categorical=["machine", "place"], dates={"day": "days"})
    about = prepare(source, validation=0.2, test=0.2, split_seed=0).about
    assert not any("learned" in column.note for column in about)
