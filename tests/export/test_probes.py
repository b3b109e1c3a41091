"""Random inputs for the test of an exported model: of every sort that the model takes; and what it brings along."""

from __future__ import annotations

import io
import json
import sys
import zipfile
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nnrun.errors import RunError
from nnrun.export.packages import flatbuffers_zip
from nnrun.export.probes import as_file, probes
from nnrun.preprocessing import Date, FittedColumn, Preprocessing


def fitted(
    shape: tuple[int, ...], dtype: str, shift: Any, scale: Any, *columns: FittedColumn
) -> Preprocessing:
    return Preprocessing((), columns, shape, dtype, np.asarray(shift), np.asarray(scale), 0.0, 1.0, {})


def test_numbers_have_mean_and_deviation_of_the_training_part() -> None:
    shift, scale = np.array([100.0, -3.0, 0.0]), np.array([10.0, 0.5, 0.0])
    x = probes(fitted((3,), "float32", shift, scale), 4000)
    assert x.shape == (4000, 3) and x.dtype == np.float32
    error = 5 * scale / np.sqrt(4000)
    assert (np.abs(x.mean(0) - shift) <= error).all() and (np.abs(x.std(0) - scale) <= error).all()
    assert np.array_equal(x, probes(fitted((3,), "float32", shift, scale), 4000))  # the same each time


def test_pixels_are_whole_and_in_their_range() -> None:
    x = probes(fitted((4, 4, 1), "uint8", 128.0, 100.0), 200)
    assert x.shape == (200, 4, 4, 1) and x.dtype == np.uint8
    assert x.min() == 0 and x.max() == 255  # cut, not wrapped around
    assert 0.05 < (x == 0).mean() < 0.15 and 0.05 < (x == 255).mean() < 0.15  # Φ(−1.28) = 0.10


def test_inputs_stay_between_their_ends() -> None:
    bounded = probes(fitted((2,), "float64", 0.0, 1.0), 500, ends=(-0.5, 1.0))
    free = probes(fitted((2,), "float64", 0.0, 1.0), 500)
    assert bounded.dtype == np.float64 and bounded.min() == -0.5 and bounded.max() == 1.0
    np.testing.assert_array_equal(bounded, np.clip(free, -0.5, 1.0))


NUMBER = FittedColumn("size")
MARKED = FittedColumn("height", fill=1.0, indicator=True)
COLOUR = FittedColumn("colour", ("red", "blue", ""), fill="", rare=("ochre",), unknown="other")
FIXED = FittedColumn("kind", ("a", "b"))
DAY = FittedColumn("day", date=Date(("days", "weekday"), "2020-02-28", "%d.%m.%Y"))
HOUR = FittedColumn("time", date=Date(("hour",), "2020-02-28T12:00:00"), fill=3.0)


def test_cells_of_a_table_are_of_every_sort_that_its_columns_take() -> None:
    columns = (FIXED, MARKED, COLOUR, DAY, HOUR, NUMBER)
    width = sum(column.width for column in columns)
    assert width == 2 + 2 + 4 + 3 + 2 + 1
    shift, scale = np.zeros(width), np.full(width, 0.0)
    shift[2], shift[-1] = 170.0, 7.0  # of the number MARKED, and of the last one
    table = probes(fitted((width,), "float64", shift, scale, *columns), 600)
    assert list(table) == ["kind", "height", "colour", "day", "time", "size"]
    assert set(table["kind"]) == {"a", "b"}  # nothing that it would refuse
    assert set(table["height"]) == {170.0, None} and set(table["size"]) == {7.0}
    assert set(table["colour"]) == {"red", "blue", "ochre", "an unknown name", None}
    for name in ("height", "colour", "time"):
        assert 0.05 < sum(cell is None for cell in table[name]) / 600 < 0.15
    days = [(datetime.strptime(cell, "%d.%m.%Y") - datetime(2020, 2, 28)).days for cell in table["day"]]
    assert min(days) >= 0 and max(days) < 1000 and len(set(days)) > 300
    moments = [datetime.fromisoformat(cell) for cell in table["time"] if cell is not None]
    assert len({moment.hour for moment in moments}) == 24 and min(moments) >= datetime(2020, 2, 28, 12)


def test_inputs_are_written_as_they_are_read_again(tmp_path: Path) -> None:
    table = {"a": [1.5, None], "b": ["x", "ü"]}
    assert as_file(table, tmp_path) == "json" and json.loads((tmp_path / "probes.json").read_text()) == table
    array = np.arange(6, dtype=np.uint8).reshape(2, 3)
    assert as_file(array, tmp_path) == "npz"
    with np.load(tmp_path / "probes.npz") as archive:
        assert archive.files == ["x"]
        np.testing.assert_array_equal(archive["x"], array)


def test_the_package_in_the_zip_is_the_one_that_is_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import flatbuffers

    content = flatbuffers_zip()
    assert content == flatbuffers_zip()  # the same bytes at any time
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.testzip() is None
        names = archive.namelist()
        place = Path(flatbuffers.__file__).parent
        assert sorted(names) == sorted(f"flatbuffers/{file.name}" for file in place.glob("*.py"))
        for name in names:
            assert archive.read(name) == (place / Path(name).name).read_bytes()
        assert all(entry.date_time[0] == 1980 for entry in archive.infolist())
    assert len(content) < sum(len((place / Path(name).name).read_bytes()) for name in names) / 2
    monkeypatch.setitem(sys.modules, "flatbuffers", None)
    with pytest.raises(RunError, match=r"^export: .*flatbuffers.*; pip install flatbuffers$"):
        flatbuffers_zip()
