"""Parquet and Arrow files: the same source as the CSV file of the same table."""

from __future__ import annotations

import sys
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nnrun.data._arrow import read_arrow
from nnrun.data._piece import Extras
from nnrun.data._pieces import input_pieces
from nnrun.data._prepare import prepare
from nnrun.data.csv import csv
from nnrun.data.parquet import parquet
from nnrun.errors import DataError

COLUMNS: dict[str, list[Any]] = {
    "size": [0.1 + 0.2, 1e-9, None, 123456.789] * 6,
    "count": [1, 2, None, 4] * 6,
    "city": ["Bonn", None, "Köln", "Bonn"] * 6,
    "when": [date(2024, 1, 31), date(2023, 12, 1), date(2024, 2, 29), date(2020, 1, 1)] * 6,
    "price": [Decimal("1.50"), Decimal("2.25"), Decimal("3.00"), Decimal("4.75")] * 6,
    "y": ["p", "q"] * 12,
}
OPTIONS: dict[str, Any] = {
    "categorical": ["city"],
    "dates": {"when": ["days", "month"]},
    "missing": {"city": "category", "*": "median"},
}


def test_without_pyarrow_it_says_what_to_install(tmp_path, monkeypatch):
    (tmp_path / "t.parquet").write_bytes(b"PAR1 and more")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(
        DataError, match=r"t\.parquet: reading it needs pyarrow; pip install 'nnrun\[parquet\]'"
    ):
        parquet(str(tmp_path / "t.parquet"), "y")


def test_a_csv_loader_names_the_other_one(tmp_path):
    (tmp_path / "t.parquet").write_bytes(b"PAR1 and more")
    with pytest.raises(DataError, match=r"is a Parquet or Arrow file; write data: \{name: parquet"):
        csv(str(tmp_path / "t.parquet"), "y")


@pytest.fixture(params=["parquet", "feather"])
def file(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    arrow = pytest.importorskip("pyarrow")
    table, path = arrow.table(COLUMNS), tmp_path / f"t.{request.param}"
    if request.param == "parquet":
        from pyarrow.parquet import write_table

        write_table(table, path)
    else:
        from pyarrow.feather import write_feather

        write_feather(table, path)
    return path


def as_csv(folder: Path) -> str:
    rows = zip(*COLUMNS.values(), strict=True)
    lines = [",".join("" if cell is None else str(cell) for cell in row) for row in rows]
    (folder / "t.csv").write_text("\n".join([",".join(COLUMNS), *lines]), encoding="utf-8")
    return str(folder / "t.csv")


def test_it_is_the_table_that_a_csv_file_is(file, tmp_path):
    ours, theirs = parquet(str(file), "y", **OPTIONS), csv(as_csv(tmp_path), "y", **OPTIONS)
    np.testing.assert_array_equal(ours.train.x, theirs.train.x)
    np.testing.assert_array_equal(ours.train.y, theirs.train.y)
    assert ours.columns == theirs.columns


def test_a_run_predicts_for_it_whatever_it_was_trained_on(file, tmp_path):
    path = as_csv(tmp_path)
    fitted = prepare(csv(path, "y", **OPTIONS), validation=0.2, test=0.2, split_seed=0).fitted
    block = {"name": "csv", "delimiter": ","}
    asked = Extras(keep=["y"])
    [[ours], [theirs]] = (input_pieces(Path(place), block, fitted, print, asked) for place in (file, path))
    np.testing.assert_array_equal(ours.x, theirs.x)
    assert [(name, list(cells)) for name, cells in ours.kept] == [("y", ["p", "q"] * 12)]


def test_moments_keep_their_time_and_floats_their_digits(tmp_path):
    arrow = pytest.importorskip("pyarrow")
    from pyarrow.parquet import write_table

    moment = datetime(2024, 1, 31, 18, 30)
    columns = {
        "when": arrow.array([moment], arrow.timestamp("ns")),
        "there": arrow.array([moment], arrow.timestamp("ms", "UTC")),
        "short": arrow.array([0.1], arrow.float32()),
        "flag": arrow.array([True]),
    }
    write_table(arrow.table(columns), tmp_path / "t.parquet")
    table = read_arrow(str(tmp_path / "t.parquet"))
    cells = {name: column.cells[0] for name, column in table.columns.items()}
    assert cells["when"] == "2024-01-31 18:30:00"
    assert cells["there"] == "2024-01-31 18:30:00+00:00"
    assert np.float32(cells["short"]) == np.float32(0.1)
    assert cells["flag"] == "True"


def test_times_that_python_has_not_are_refused_and_not_rounded_away(tmp_path):
    arrow = pytest.importorskip("pyarrow")
    from pyarrow.parquet import write_table

    of_year_10000 = arrow.array([0, 253402300800], arrow.timestamp("s"))
    nanoseconds = arrow.array([1704067200 * 10**9 + i for i in range(9)], arrow.timestamp("ns"))
    for times, message in (
        (of_year_10000, "holds a time that is none"),
        (nanoseconds, "9 different times are 1"),
    ):
        write_table(arrow.table({"when": times}), tmp_path / "t.parquet")
        with pytest.raises(DataError, match=f"t.parquet: column 'when': .*{message}|{message}"):
            read_arrow(str(tmp_path / "t.parquet"))


@pytest.mark.parametrize("content", [b"PAR1", b"PAR1" + bytes(100) + b"PAR1", b"ARROW1\0\0" + bytes(50)])
def test_what_cannot_be_decoded_is_one_line(content, tmp_path):
    pytest.importorskip("pyarrow")
    (tmp_path / "t").write_bytes(content)
    with pytest.raises(DataError, match="cannot be decoded") as caught:
        read_arrow(str(tmp_path / "t"))
    assert "\n" not in str(caught.value)


def test_a_csv_file_is_no_parquet(tmp_path):
    pytest.importorskip("pyarrow")
    with pytest.raises(DataError, match=r"write data: \{name: csv\}"):
        parquet(as_csv(tmp_path), "y")
