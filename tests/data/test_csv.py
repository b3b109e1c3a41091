"""Tables in CSV files: what they become, and that every mistake names its place."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from nnrun.data import _files, _table
from nnrun.data._table import Dialect, table_pieces
from nnrun.data.csv import csv
from nnrun.errors import DataError
from nnrun.types import Source

FLOWERS = "length, width,colour,kind\n5.1,3.5,red,setosa\n6,2.9,blue,virginica\n-1e1,.5,red,setosa\n"


def read(tmp_path: Path, text: str | bytes, target: str = "kind", **options) -> Source:
    path = tmp_path / "t.csv"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return csv(str(path), target, **options)


def targets(tmp_path: Path, values: list[str], **options) -> Source:
    return read(
        tmp_path, "x,y\n" + "".join(f"{i},{value}\n" for i, value in enumerate(values)), "y", **options
    )


def test_numbers_names_and_classes(tmp_path: Path):
    source = read(tmp_path, FLOWERS, categorical=["colour"])
    np.testing.assert_array_equal(
        source.train.x, np.array([[5.1, 3.5, 0, 1], [6, 2.9, 1, 0], [-10, 0.5, 0, 1]])
    )
    assert source.train.y.tolist() == [0, 1, 0]
    assert source.classes == ("setosa", "virginica")
    assert (source.test, source.standardize) == (None, "feature")


def test_features_choose_and_order_the_columns(tmp_path: Path):
    source = read(tmp_path, FLOWERS, features=["width", "length"], standardize="none")
    np.testing.assert_array_equal(source.train.x[0], np.array([3.5, 5.1]))
    assert source.standardize == "none"


@pytest.mark.parametrize(
    ("text", "delimiter"),
    [
        ("\ufeffa,kind\r\n1,p\r\n\r\n2,q\r\n", ","),
        ("a;kind\n1;p\n2;q", ";"),
        ("a\tkind\n1\tp\n2\tq\n\n", "\t"),
        ('"a","kind"\n"1"," p "\n"2","q"\n', ","),
    ],
)
def test_dialects(tmp_path: Path, text: str, delimiter):
    source = read(tmp_path, text, delimiter=delimiter)
    assert source.train.x.tolist() == [[1], [2]]
    assert source.classes == ("p", "q")


@pytest.mark.parametrize(
    ("values", "classes"),
    [
        (["0", "1", "0", "1"], ("0", "1")),
        (["10", "9", "9.0", "1e1"], ("9", "10")),  # numbers in the order of numbers, one class each
        (["b", "a", "B", "10"], ("10", "B", "a", "b")),
        ([str(i % 20) for i in range(60)], tuple(map(str, range(20)))),
        ([str(i % 21) for i in range(60)], ()),  # more than 20 different whole numbers
        (["0", "1", "0.5", "1"], ()),
    ],
)
def test_auto_tells_quantities_from_classes(tmp_path: Path, values: list[str], classes: tuple[str, ...]):
    source = targets(tmp_path, values)
    assert source.classes == classes
    wanted = [float(v) for v in values] if not classes else None
    if wanted:
        np.testing.assert_array_equal(source.train.y, np.array(wanted))
    assert source.train.y.dtype == (np.int32 if classes else np.float64)


def test_names_that_hold_the_delimiter_do_not_hide_the_one_between_them(tmp_path: Path):
    (tmp_path / "t.csv").write_text("shake (x, mm)\tkind\n0.1\tp\n0.2\tq\n")
    with pytest.raises(DataError, match="both are separated by") as caught:
        csv(str(tmp_path / "t.csv"), "kind")
    assert str(caught.value).endswith('write data.delimiter: "\\t"')
    assert "2:2: the row has 1 cell, the header 2" in str(caught.value)
    assert csv(str(tmp_path / "t.csv"), "kind", delimiter="\t").classes == ("p", "q")


def test_the_task_can_be_said(tmp_path: Path):
    assert targets(tmp_path, ["0", "1"], task="regression").classes == ()
    assert targets(tmp_path, ["1.5", "0.5", "1.50"], task="classification").classes == ("0.5", "1.5")
    assert len(targets(tmp_path, [str(i) for i in range(30)], task="classification").classes) == 30


def test_the_test_part_follows_the_training_part(tmp_path: Path):
    other = tmp_path / "test.csv"
    other.write_text("kind,colour,width,length\nvirginica,red,1,2\n")
    source = read(tmp_path, FLOWERS, categorical=["colour"], test_path=str(other))
    assert source.test is not None
    assert source.test.x.tolist() == [[2, 1, 0, 1]]
    assert source.test.y.tolist() == [1]
    for row, problem in (
        ("virginica,green,1,2", "test.csv:2:2: column 'colour': 'green' does not occur in the training part"),
        ("rose,red,1,2", "test.csv:2:1: column 'kind': 'rose' does not occur"),
        ("virginica,red,one,2", "test.csv:2:3: column 'width': 'one' is not a number"),
    ):
        other.write_text(f"kind,colour,width,length\n{row}\n")
        with pytest.raises(DataError, match=problem):
            read(tmp_path, FLOWERS, categorical=["colour"], test_path=str(other))


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ("a,kind\n1,p\n2\n", ":3:2", "the row has 1 cell, the header 2"),
        ("a,kind\n1,p,7\n2,q\n", ":2:3", "the row has 3 cells, the header 2"),
        ("a,kind\n1,p\nx,q\n", ":3:1", "column 'a': 'x' is not a number; .* data.categorical"),
        ("a,kind\n1,p\n1_0,q\n", ":3:1", "'1_0' is not a number"),
        ("a,kind\n1,p\n\n١,q\n", ":4:1", "contains the digit"),
        ("a,kind\n1,p\nNaN,q\n", ":3:1", "'NaN' is a missing value; write data.missing: {a: median}"),
        ("a,kind\n1,p\n-inf,q\n", ":3:1", "'-inf' is not a finite"),
        ("a,kind\n1,p\n1e39,q\n", ":3:1", "'1e39' is not a finite float32"),
        ("a,kind\n1,p\n,q\n", ":3:1", "'' is a missing value"),
        ("a,kind\n1,p\n2,\n", ":3:2", "column 'kind': '' is empty"),
        ("a,kind\n1,0\n2,nan\n", ":3:2", "column 'kind': 'nan' looks like a missing value"),
        ("a,kind,a\n1,p,2\n", ":1:3", r"column 'a' occurs twice \(also column 1\)"),
        ("a,,kind\n1,2,p\n", ":1:2", "the column has no name"),
        ("a;kind\n1;p\n", ":1", "the names are separated by ';'; write data.delimiter: \";\""),
        ("a\tkind\n1\tp\n", ":1", r'write data.delimiter: "\\t"'),
        (
            "Unnamed: 0,a,kind\n0,1,p\n",
            ":1:1",
            "column 'Unnamed: 0' looks like the row numbers that pandas writes",
        ),
        ('a,b,kind\n1,"x\ny",p\n2,3,q\n', ":2:2", "column 'b': 'x"),
        ('t,b,kind\n"1\n",x,p\n2,3,q\n', ":3:2", "column 'b': 'x'"),
        ("a,kinds\n1,p\n", ":1", "data.target: there is no column 'kind'; did you mean 'kinds'"),
        ("a,b\n1,p\n", ":1", "data.target: there is no column 'kind'; there are a, b"),
        ('a,kind\n1,"p\n', ":2", "is not CSV"),
        ('a,kind\n1,"p"q\n', ":2", "is not CSV"),
        ("a,kind\n1," + "p" * 200_000, ":2", "is not CSV: field larger"),
        (b"a,kind\n1,p\n2,\xff\n", ":3:3", "byte 0xff is not UTF-8"),
        (b"a,kind\n1,p\0\n", ":2:4", "there is a NUL"),
        (b"", "", "is empty"),
        (
            '{"a": 1, "kind": "p"}\n{"a": 2, "kind": "q"}\n',
            "",
            r"is JSON; .*read_json\(FILE, lines=True, dtype=False, convert_dates=False\)",
        ),
        (
            '[\n  {"a": 1, "kind": "p"}]',
            "",
            r"is JSON; .*pandas.read_json\(FILE, dtype=False, convert_dates=False\)\.to_csv",
        ),
        ("sep=;\na;kind\n1;p\n", ":1", "'sep=' is a line for Excel, .*delete the line"),
        (b"\xef\xbb\xbfSEP=,\r\na,kind\r\n1,p\r\n", ":1", "'sep=' is a line for Excel"),
        (b"\xff\xfea\0,\0", "", "is text in UTF-16; save the file as UTF-8"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "", r"is a spreadsheet \(.xls\)"),
        (b"\n\n", "", "holds 0 rows"),
        ("a,kind\n", "", "holds 1 row;"),
        ("a,kind\n1,p\n", "", "training part: 1 example; at least 2"),
        ("a,kind\n1,p\n2,p\n", "", "every target is the same; there must be at least two"),
        ("kind\np\nq\n", "", "at least one column"),
    ],
)
def test_mistakes_name_file_row_and_column(tmp_path: Path, text: str | bytes, place: str, message: str):
    with pytest.raises(DataError, match=message) as caught:
        read(tmp_path, text)
    assert str(caught.value).startswith(f"{tmp_path / 't.csv'}{place}: ")
    assert "\n" not in str(caught.value)


def test_a_typing_error_in_a_numeric_target_is_not_a_class(tmp_path: Path):
    values = [f"{i}.5" for i in range(30)]
    with pytest.raises(DataError, match=r"t\.csv:12:2: column 'y': '1o\.5' is not a number"):
        targets(tmp_path, [*values[:10], "1o.5", *values[11:]])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"features": ["lenght"]}, "data.features: there is no column 'lenght'; did you mean 'length'"),
        ({"features": ["length", "length"]}, "data.features: needed: at least one column, each once"),
        ({"features": ["length", "kind"]}, "without the target 'kind'"),
        ({"features": []}, "at least one column"),
        ({"categorical": ["color"]}, "data.categorical: there is no column 'color'; did you mean 'colour'"),
        ({"features": ["length"], "categorical": ["colour"]}, "'colour' is not one of the features"),
    ],
)
def test_options_that_do_not_fit_the_file(tmp_path: Path, options: dict, message: str):
    with pytest.raises(DataError, match=message):
        read(tmp_path, FLOWERS, **options)


def test_identifiers_are_not_categories(tmp_path: Path):
    text = "id,kind\n" + "".join(f"n{i},{i % 2}\n" for i in range(1001))
    with pytest.raises(DataError, match="column 'id' has 1001 different names, at most 1000"):
        read(tmp_path, text, categorical=["id"])


def test_a_file_beyond_the_cap_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(_table, "MAX_CSV_BYTES", 20)
    with pytest.raises(DataError, match=f"holds {len(FLOWERS)} bytes, at most 20 are read"):
        read(tmp_path, FLOWERS)


def test_a_missing_file_is_named(tmp_path: Path):
    with pytest.raises(
        DataError, match=re.escape(f"{tmp_path}/no.csv: there is no such file; check the path")
    ):
        csv(f"{tmp_path}/no.csv", "y")


def test_an_unreadable_file_is_the_machines_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def refuse(*args: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    path = tmp_path / "t.csv"
    path.touch()
    with (
        pytest.raises(_files.MachineError, match=r"t\.csv: cannot be read: Permission denied"),
        _files.open_file(path),
    ):
        raise AssertionError("opened")


def test_control_characters_are_escaped(tmp_path: Path):
    with pytest.raises(DataError, match=r"column 'a\\x1b\[1m': '\\x07' is not a number"):
        read(tmp_path, "a\x1b[1m,kind\n\x07,p\n1,q\n")


def test_mutations_end_in_a_source_or_a_data_error(tmp_path: Path):
    rng = np.random.default_rng(2)
    loaded = 0
    for _ in range(400):
        mutated = bytearray(FLOWERS.encode())
        for _ in range(rng.integers(1, 4)):
            mutated[rng.integers(len(mutated))] = rng.integers(256)
        try:
            source = read(tmp_path, bytes(mutated), categorical=["colour"])
        except DataError as error:
            assert "\n" not in str(error)
        else:
            loaded += 1
            assert np.isfinite(source.train.x).all()
    assert 0 < loaded < 400


def test_a_table_for_a_trained_run_follows_its_delimiter(tmp_path):
    """A run's delimiter cannot be changed after training, so the file is what to change."""
    (tmp_path / "t.csv").write_text("a;b\n1;2\n")
    refused = pytest.raises(DataError, match=r"separated by ';'; the run was trained with ',': save it so")
    with refused, (tmp_path / "t.csv").open("rb") as stream:
        next(table_pieces(stream, Dialect("t.csv", ",", trained=True), lambda columns: 1))
