"""Columns of new inputs that a run has no use for: which are said, and what they may stand for."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nnrun.data._inputs import inputs_of
from nnrun.data._labelled import check_present
from nnrun.data._near import nearest
from nnrun.data._unused import KnownColumns, expected_of, warn_of_unused
from nnrun.errors import DataError
from nnrun.preprocessing import FittedColumn, Preprocessing


def fitted(*names: str, targets: tuple[str, ...] = ()) -> Preprocessing:
    columns, size = tuple(map(FittedColumn, names)), len(names)
    one = np.ones(size)
    return Preprocessing((), columns, (size,), "float64", 0 * one, one, 0.0, 1.0, {}, targets)


def said(names: list[str], block: dict[str, Any], wanted: tuple[str, ...] = ()) -> list[str]:
    lines: list[str] = []
    warn_of_unused("new.csv", names, [expected_of(block, fitted("age", "city"))], wanted, lines.append)
    return lines


@pytest.mark.parametrize(
    ("block", "others"),
    [
        ({"target": "y"}, ["y"]),
        ({"target": ["y", "z"]}, ["z", "y"]),
        ({"target": "y", "exclude": ["id", "note_*"]}, ["id", "note_7"]),
        ({"target": "y", "weights": "w", "split_by": "g", "time": "t"}, ["w", "g", "t"]),
        ({"target": "y", "features": ["age", "city"]}, ["anything"]),
    ],
)
def test_what_the_run_knows_is_no_news(block: dict[str, Any], others: list[str]) -> None:
    assert said(["age", "city", *others], block) == []


def test_what_it_does_not_know_is_said_in_one_line() -> None:
    block = {"target": "leaves", "exclude": ["id"]}
    assert said(["age", "city", "kept", "rooms"], block, wanted=("kept",)) == [
        "new.csv: a column that the run was trained without is not used: 'rooms'"
    ]
    assert said(["City", "age", "city", "Leaves", "rooms"], block) == [
        "new.csv: 3 columns that the run was trained without are not used: 'City' (beside 'city', which is used), "
        "'Leaves' (did you mean 'leaves'?), 'rooms'"
    ]
    many = said(["age", "city", *(f"column_{i}" for i in range(500))], block)
    assert len(many) == 1 and len(many[0]) < 320 and "500 columns" in many[0]


def test_a_column_that_one_member_uses_is_used() -> None:
    """Of two members with other features; one that leaves out the rest on purpose says nothing of them."""
    lines: list[str] = []
    first, second = KnownColumns(("a",), ("y",), ()), KnownColumns(("b",), ("y",), ())
    warn_of_unused("new.csv", ["a", "b", "y"], [first, second], (), lines.append)
    assert lines == []
    warn_of_unused("new.csv", ["a", "b", "c"], [first, second, None], (), lines.append)
    assert len(lines) == 1 and lines[0].endswith("is not used: 'c'")
    warn_of_unused("new.csv", ["c"], [None], (), lines.append)
    assert len(lines) == 1


def test_names_with_other_numbers_are_not_like_each_other() -> None:
    assert nearest("lab_2", ["lab_1", "lab_3"]) is None
    assert nearest("Lab 1", ["lab_1", "lab_3"]) == "lab_1"
    assert nearest("AGE", ["wage", "age"]) == "age"
    assert nearest("size", ["price"]) is None


def test_all_missing_columns_are_named_with_what_may_be_meant() -> None:
    with pytest.raises(DataError) as caught:
        check_present("t.csv:1", {"age": "", "city": "", "id": "--keep"}, ["agee", "town", "Id"])
    assert str(caught.value) == (
        "t.csv:1: there is no column 'age' (did you mean 'agee'?), 'city', 'id' (--keep; did you mean 'Id'?); there "
        "are agee, town, Id"
    )


def test_missing_columns_that_are_not_named_are_counted() -> None:
    """A cut in the middle of a list looks as if there were no more."""
    wanted = [f"column_{i:02d}" for i in range(40)]
    with pytest.raises(DataError) as caught:
        check_present("t.csv:1", wanted, ["x"])
    named, _, rest = str(caught.value).partition("; there are ")
    listed, _, more = named.partition(" and ")
    names = listed.removeprefix("t.csv:1: there is no column ").split(", ")
    assert names == [f"'{name}'" for name in wanted[: len(names)]] and len(names) > 10
    assert (more, rest) == (f"{40 - len(names)} more", "x")


def test_columns_in_memory_too() -> None:
    record, lines = fitted("age", "city"), []
    columns = {"age": [1.0], "agee": [3.0], "city": [2.0]}
    x = inputs_of(columns, record, lines.append, [expected_of({"target": "y"}, record)])
    np.testing.assert_array_equal(x, [[1, 2]])
    assert lines == [
        "the inputs: a column that the run was trained without is not used: 'agee' (beside 'age', which is used)"
    ]
    with pytest.raises(
        DataError, match=re.escape("no column 'age' (did you mean 'agee'?), 'city'; there are agee")
    ):
        inputs_of({"agee": [3.0]}, record)


def test_an_exported_model_says_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib
    import sys

    import nnrun.export

    monkeypatch.delitem(sys.modules, "inputs", raising=False)
    monkeypatch.syspath_prepend(Path(nnrun.export.__file__).parent / "files")
    prepare = importlib.import_module("inputs").prepare
    about = {
        "columns": [{"name": "a", "categories": None}, {"name": "b", "categories": None}],
        "beside": ["y", "note_*"], "shape": [2], "dtype": "float64", "precision": "float64", "offset": [0.0, 0.0],
    }  # fmt: skip
    known = {"a": [1.0], "b": [2.0], "y": ["?"], "note_3": ["x"]}
    np.testing.assert_array_equal(prepare(known, about), [[1, 2]])
    with pytest.warns(UserWarning, match="^columns that are not used: 'aa', 'c'$"):
        prepare({**known, "aa": [0], "c": [0]}, about)
    with pytest.raises(ValueError, match=r"^there is no column 'a', 'b'; there are c$"):
        prepare({"c": [0]}, about)
    del about["beside"]  # of a run that lists its features
    np.testing.assert_array_equal(prepare({**known, "c": [0]}, about), [[1, 2]])
