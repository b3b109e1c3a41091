"""Pieces of one file for models whose data have different columns."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from nnrun.data._files import STDIN
from nnrun.data._piece import Extras
from nnrun.errors import SpecError
from nnrun.prediction.inputs import arrays_for, pieces_for
from nnrun.preprocessing import FittedColumn, Part, Preprocessing


def model(*names: str) -> Any:
    """Of a table with a number and a category of these names."""
    columns = (FittedColumn("a"), FittedColumn("c", names, unknown="zeros"))
    width = 1 + len(names)
    parts = {part: Part(9, "a", "b") for part in ("train", "val", "test")}
    fitted = Preprocessing(
        ("n", "y"), columns, (width,), "float64", np.zeros(width), np.ones(width), 0.0, 1.0, parts
    )
    return SimpleNamespace(
        block={"name": "csv"}, experiment=SimpleNamespace(dataset=SimpleNamespace(fitted=fitted))
    )


def test_every_model_has_its_own_columns_of_the_same_rows(tmp_path: Path) -> None:
    """20,000 rows are several pieces for the model of 60 inputs, fewer for those of 3."""
    wide, narrow = model(*(f"n{i}" for i in range(59))), model("n1", "n2")
    rows, file = 20_000, tmp_path / "new.csv"
    file.write_text("a,c,row\n" + "".join(f"{i / 4},n{i % 60},r{i}\n" for i in range(rows)))
    warnings: list[str] = []
    names, given = [], ([], [], [])
    for first, stored in pieces_for([wide, narrow, narrow], file, warnings.append, Extras(["row"])):
        ((_, cells),) = first.kept
        names += cells
        assert {len(x) for x in stored} == {len(cells)}
        for held, x in zip(given, stored, strict=True):
            held.append(x)
    assert names == [f"r{i}" for i in range(rows)]
    i = np.arange(rows)
    for held, categories in zip(given, (range(59), (1, 2), (1, 2)), strict=True):
        expected = np.stack([i / 4, *(i % 60 == name for name in categories)], axis=1)
        np.testing.assert_array_equal(np.concatenate(held), expected)
    assert len(warnings) == len(set(warnings))


def test_in_memory_and_from_a_stream(tmp_path: Path) -> None:
    models = [model("p", "q"), model("q")]
    first, second = arrays_for(models, {"a": [1.0, 2.0], "c": ["p", "q"]}, lambda message: None)
    np.testing.assert_array_equal(first, [[1, 1, 0], [2, 0, 1]])
    np.testing.assert_array_equal(second, [[1, 0], [2, 1]])
    with pytest.raises(SpecError, match="standard input can be read once"):
        next(pieces_for(models, STDIN, pytest.fail))
