"""Cells that count as missing because the spec says so: the same as empty ones, in training, prediction and export."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nnrun.data._columns import table_of
from nnrun.data._encode import features_of
from nnrun.data.csv import csv
from nnrun.data.parquet import parquet
from nnrun.errors import DataError
from nnrun.export.files.inputs import prepare as prepare_exported
from nnrun.types import Source

HEADER = "age,income,city,y"
ROWS = ["31,2.5,x", "{a},1.5,z", "45,{i},x", "-999,{i},{c}", "28,-1,z", "52,3.5,x"]  # of city, -999 is none
RULES: dict[str, Any] = {
    "categorical": ["city"], "missing": {"age": "median", "income": "mean", "city": "category"},
    "missing_indicator": True,
}  # fmt: skip


def table(folder: Path, name: str, a: str = "", i: str = "", c: str = "", **options: Any) -> Source:
    lines = [f"{row.format(a=a, i=i, c=c)},{'pq'[k % 2]}" for k, row in enumerate(ROWS)]
    (folder / name).write_text("\n".join([HEADER, *lines]) + "\n")
    return csv(str(folder / name), "y", **{**RULES, **options})


@pytest.mark.parametrize(
    ("marks", "a", "i", "c"),
    [
        (["-999", "k.A.", "unk"], "-999", "k.A.", "unk"),
        ([-999, "k.A.", "unk"], "-999.0", "k.A.", "unk"),
        ({"age": [-999.0], "inc*": ["k.A."], "city": ["unk"]}, "-9.99e2", "k.A.", "unk"),
        ({"age": ["-999", "?"], "income": ["-7"], "city": ["unk"]}, "?", "-7", "unk"),
    ],
)
def test_marks_are_empty_cells(marks: Any, a: str, i: str, c: str, tmp_path: Path) -> None:
    empty = (tmp_path / "e.csv", [row.replace("-999", "") for row in ROWS])
    lines = [f"{row.format(a='', i='', c='')},{'pq'[k % 2]}" for k, row in enumerate(empty[1])]
    empty[0].write_text("\n".join([HEADER, *lines]) + "\n")
    expected = csv(str(empty[0]), "y", **RULES)
    source = table(tmp_path, "t.csv", a, i, c, missing_marks=marks)
    np.testing.assert_array_equal(source.train.x, expected.train.x)
    assert [column._replace(marks=()) for column in source.columns] == list(expected.columns)
    assert not source.table.notes
    new = table_of({"age": [float(a) if a != "?" else None, 40], "income": [i, "2"], "city": [c, "x"]}, "new")
    gone = table_of({"age": [None, 40], "income": [None, "2"], "city": [None, "x"]}, "new")
    x = features_of(new, source.columns)
    np.testing.assert_array_equal(x, features_of(gone, expected.columns))
    about = {
        "columns": [column.as_dict() for column in source.columns], "shape": [x.shape[1]], "dtype": "float64",
        "offset": np.zeros(x.shape[1]), "precision": "float64",
    }  # fmt: skip
    cells = {name: [cell or None for cell in column.cells] for name, column in new.columns.items()}
    np.testing.assert_array_equal(prepare_exported(cells, about), x)


def test_without_the_option_a_number_is_a_number_and_a_word_says_what_to_write(tmp_path: Path) -> None:
    source = table(tmp_path, "t.csv", "-999", "", "x", missing={"age": "median", "income": "mean"})
    assert (source.train.x[:, 0] == -999).sum() == 2
    with pytest.raises(
        DataError, match=r"'income': 'k\.A\.' is not a number; .* to data\.missing_marks if it"
    ):
        table(tmp_path, "t.csv", "1", "k.A.", "x")


def test_what_must_have_a_value_and_is_a_mark_is_refused_with_the_remedy_of_marks(tmp_path: Path) -> None:
    rows = "a,w,g,y,z,kind\n1,1,u,2.5,1,p\n2,-999,v,3.5,-999,q\n3,1,k.A.,-999.0,2,k.A.\n4,1,w,1.25,3,p\n"
    path, remedy = (
        tmp_path / "t.csv",
        r" counts as missing by data\.missing_marks; .* by column: data\.missing_marks",
    )
    path.write_text(rows)
    for place, target, options in (
        ("4:4: column 'y': '-999.0'", "y", {"missing_marks": [-999]}),
        ("3:2: column 'w': '-999'", "a", {"missing_marks": {"w": [-999]}, "weights": "w"}),
        ("4:3: column 'g': 'k.A.'", "a", {"missing_marks": {"g": ["k.A."]}, "split_by": "g"}),
        ("3:2: column 'w': '-999'", "a", {"missing_marks": {"w": [-999]}, "time": "w"}),
        ("4:6: column 'kind': 'k.A.'", "kind", {"missing_marks": ["k.A."], "task": "classification"}),
    ):
        with pytest.raises(DataError, match=re.escape(f"t.csv:{place}") + remedy):
            csv(str(path), target, features=["a" if target != "a" else "z"], **options)
    with pytest.raises(DataError) as error:
        csv(str(path), ["y", "z"], features=["a"], missing_marks=[-999], task="regression")
    places = [
        line.partition(" counts as")[0].partition("t.csv:")[2] for line in str(error.value).splitlines()
    ]
    assert places == ["4:4: column 'y': '-999.0'", "3:5: column 'z': '-999'"]


def test_a_mark_that_no_cell_has_is_noted_and_a_column_that_is_not_there_refused(tmp_path: Path) -> None:
    source = table(tmp_path, "t.csv", "", "", "", missing_marks=["-998", "NA", "-999"])
    assert source.table.notes == (
        "data.missing_marks: no cell is '-998'",
        "data.missing_marks: no cell is 'NA'",
    )
    with pytest.raises(
        DataError, match=r"data\.missing_marks: there is no column 'agee'; did you mean 'age'"
    ):
        table(tmp_path, "t.csv", missing_marks={"agee": ["-999"]})


def test_parquet(tmp_path: Path) -> None:
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    pq.write_table(
        pa.table({"a": [1.0, -999.0, 3.0, 5.0], "y": ["p", "q", "p", "q"]}), tmp_path / "t.parquet"
    )
    source = parquet(str(tmp_path / "t.parquet"), "y", missing="median", missing_marks=[-999])
    assert source.train.x[:, 0].tolist() == [1.0, 3.0, 3.0, 5.0]


def test_identifiers_with_marks_between_their_thousands_are_identifiers(tmp_path: Path) -> None:
    rows = [f'"{1000 + 7 * i:,}",{i % 5},{"pq"[i % 2]}' for i in range(60)]
    (tmp_path / "t.csv").write_text("\n".join(["customer_id,a,y", *rows]) + "\n")
    with pytest.raises(DataError, match=r"column 'customer_id' is an identifier"):
        csv(str(tmp_path / "t.csv"), "y", thousands=",")
