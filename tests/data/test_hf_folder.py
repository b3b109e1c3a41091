"""Folders that Hugging Face's datasets write, made here by pyarrow in the layout of version 5."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nnrun.data._piece import Extras
from nnrun.data._pieces import input_pieces
from nnrun.data._prepare import prepare
from nnrun.data._saved_set import saved_pieces
from nnrun.data.csv import csv
from nnrun.data.hf_folder import hf_folder
from nnrun.errors import DataError, MachineError

pa = pytest.importorskip("pyarrow")

Save = Callable[..., Path]

CITY, GRADE = ["Ulm", "Bonn"], ["no", "yes"]
FEATURES: dict[str, Any] = {
    "size": {"dtype": "float64", "_type": "Value"},
    "city": {"names": CITY, "_type": "ClassLabel"},
    "tone": {"dtype": "string", "_type": "Value"},
    "grade": {"names": GRADE, "_type": "ClassLabel"},
}
OPTIONS: dict[str, Any] = {
    "categorical": ["tone"],
    "missing": {"size": "median", "city": "category", "tone": "category"},
}


def columns(n: int, first: int = 0) -> dict[str, list[Any]]:
    rows = range(first, first + n)
    return {
        "size": [None if i % 5 == 0 else 0.1 * i for i in rows],
        "city": [(-1, 0, 1)[i % 3] for i in rows],
        "tone": [("a", "b, c", None)[i % 3] for i in rows],
        "grade": [i // 2 % 2 for i in rows],
    }


def save_splits(save: Save, folder: Path, **sizes: int) -> Path:
    for i, (name, size) in enumerate(sizes.items()):
        save(folder / name, columns(size, 100 * i), FEATURES, 1 + (name == "train"))
    (folder / "dataset_dict.json").write_text(json.dumps({"splits": [*sizes]}))
    return folder


def as_csv(path: Path, *parts: tuple[int, int]) -> str:
    """The rows of `columns(n, first)` as a person would write them."""
    lines = ["size,city,tone,grade"]
    for n, first in parts:
        for size, city, tone, grade in zip(*columns(n, first).values(), strict=True):
            name = "" if city < 0 else CITY[city]
            lines.append(f'{"" if size is None else size},{name},"{tone or ""}",{GRADE[grade]}')
    path.write_text("\n".join(lines))
    return str(path)


def test_it_is_the_table_that_a_csv_file_with_the_names_is(tmp_path, save_set):
    folder = save_splits(save_set, tmp_path / "set", train=60, validation=20, test=30)
    ours = hf_folder(str(folder), "grade", splits=["train", "validation"], **OPTIONS)
    train, test = as_csv(tmp_path / "a.csv", (60, 0), (20, 100)), as_csv(tmp_path / "b.csv", (30, 200))
    theirs = csv(train, "grade", test_path=test, **{**OPTIONS, "categorical": ["tone", "city"]})
    for part, other in ((ours.train, theirs.train), (ours.test, theirs.test)):
        assert part is not None
        assert other is not None
        np.testing.assert_array_equal(part.x, other.x)
        np.testing.assert_array_equal(part.y, other.y)
    assert (ours.classes, ours.columns) == (("no", "yes"), theirs.columns)
    assert [note for note in ours.table.notes if "same as an earlier one" not in note] == []


def test_what_is_not_asked_for_is_refused_or_said(tmp_path, save_set):
    folder = str(save_splits(save_set, tmp_path / "set", train=60, validation=20, test=30))
    with pytest.raises(
        DataError, match=r"splits: \[train, validation\] to train .*, or data\.splits: train to"
    ):
        hf_folder(folder, "grade", **OPTIONS)
    source = hf_folder(folder, "grade", splits="train", **OPTIONS)
    assert source.table.notes[0] == "splits left out: validation"
    split = prepare(source, validation=0.2, test=0.2, split_seed=0)  # fits the table again
    assert split.notes == source.table.notes
    assert [len(part.y) for part in (split.train, split.val, split.test)] == [48, 12, 30]
    other = hf_folder(folder, "grade", splits="train", test_split="validation", **OPTIONS)
    assert other.test is not None
    assert len(other.test.y) == 20
    assert other.table.notes[0] == "splits left out: test"


@pytest.mark.parametrize(
    ("sizes", "given", "message"),
    [
        ({"train": 20, "dev": 9}, {}, r"data\.test_split: dev to test on it"),
        ({"a": 20, "b": 20}, {}, "none is called train"),
        ({"train": 20, "test": 9}, {"splits": "trian"}, "no split 'trian'; did you mean 'train'"),
        ({"train": 20, "test": 9}, {"test_split": "train"}, "'train' is trained on"),
        ({"train": 20, "test": 9}, {"splits": []}, "at least one split, each once"),
    ],
)
def test_splits_that_cannot_be_had(sizes, given, message, tmp_path, save_set):
    folder = save_splits(save_set, tmp_path / "set", **sizes)
    with pytest.raises(DataError, match=message):
        hf_folder(str(folder), "grade", **given, **OPTIONS)


def test_a_class_label_is_a_classification_whatever_its_names(tmp_path, save_set):
    names = [str(i) for i in range(30)]
    features = {"x": {"dtype": "float32", "_type": "Value"}, "y": {"names": names, "_type": "ClassLabel"}}
    content = {"x": [float(i) for i in range(90)], "y": [i % 30 for i in range(90)]}
    source = hf_folder(str(save_set(tmp_path / "set", content, features)), "y")
    assert source.classes == tuple(names)
    assert source.test is None


VALUE = {
    name: {"dtype": name, "_type": "Value"}
    for name in ("int64", "int32", "float64", "string", "large_string")
}
LABEL = {"names": GRADE, "_type": "ClassLabel"}


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        (LABEL, VALUE["int64"], r"more: its columns \(y: int\) are not those of .*train \(y: ClassLabel\)"),
        (VALUE["int64"], VALUE["float64"], r"columns \(y: float\) are not those of .*train \(y: int\)"),
        (VALUE["int64"], VALUE["int32"], None),
        (LABEL, {**LABEL, "names": GRADE[::-1]}, None),
    ],
)
def test_splits_that_write_a_column_in_two_ways_are_not_joined(first, second, message, tmp_path, save_set):
    """0 beside the label no would be a class of its own, and 1.0 a category beside 1."""
    for name, feature in (("train", first), ("more", second)):
        kind = (
            pa.float64() if feature["dtype" if "dtype" in feature else "_type"] == "float64" else pa.int64()
        )
        content = {"x": [0.5 * i for i in range(20)], "y": pa.array([i % 2 for i in range(20)], kind)}
        save_set(tmp_path / "set" / name, content, {"x": VALUE["float64"], "y": feature})
    (tmp_path / "set/dataset_dict.json").write_text(json.dumps({"splits": ["train", "more"]}))
    if message is None:
        hf_folder(str(tmp_path / "set"), "y", splits=["train", "more"])
        return
    with pytest.raises(DataError, match=message):
        hf_folder(str(tmp_path / "set"), "y", splits=["train", "more"])


def test_names_of_a_label_that_are_one_number_are_refused(tmp_path, save_set):
    features = {"x": VALUE["float64"], "y": {"names": ["1", "01", "2"], "_type": "ClassLabel"}}
    content = {"x": [0.5 * i for i in range(30)], "y": [i % 3 for i in range(30)]}
    with pytest.raises(
        DataError, match="column 'y': '01' and '1' are one number, and two names; a class is a number"
    ):
        hf_folder(str(save_set(tmp_path / "set", content, features)), "y")


def test_columns_that_are_no_cells_are_named_at_once(tmp_path, save_set):
    content = columns(30) | {
        "pic": [{"bytes": b"x", "path": "a b.png"}] * 30,
        "words": [[1, 2]] * 30,
        "raw": [b"x"] * 30,
    }
    features = FEATURES | {
        "pic": {"_type": "Image"},
        "words": {"feature": {"dtype": "int64", "_type": "Value"}, "_type": "List"},
        "raw": {"dtype": "binary", "_type": "Value"},
    }
    folder = str(save_set(tmp_path / "set", content, features))
    with pytest.raises(DataError, match=r"'words' holds lists.*'raw' holds bytes.*exclude: \[words, raw\]$"):
        hf_folder(folder, "grade", exclude=["pic"], **OPTIONS)
    with pytest.raises(
        DataError, match=r"features: \[pic\] to learn .*, or data.exclude: \[pic, words, raw\] to"
    ):
        hf_folder(folder, "grade", **OPTIONS)
    with pytest.raises(
        DataError, match=r"'pic' holds images, which are no cells of a table; write another dat"
    ):
        hf_folder(folder, "pic", features=["size"], **OPTIONS)
    source = hf_folder(folder, "grade", exclude=["pic", "w*", "raw"], **OPTIONS)
    assert [column.name for column in source.columns] == ["size", "city", "tone"]


def test_rows_without_a_label_are_refused_as_targets_only(tmp_path, save_set):
    folder = save_set(tmp_path / "set", columns(30), FEATURES)
    with pytest.raises(DataError, match=r"set:1:2: column 'city': 10 of 30 rows have no label"):
        hf_folder(str(folder), "city", categorical=["tone"], exclude=["grade"])


def test_a_run_predicts_for_a_split(tmp_path, save_set):
    folder = save_splits(save_set, tmp_path / "set", train=60, test=30)
    fitted = prepare(
        hf_folder(str(folder), "grade", **OPTIONS), validation=0.2, test=0.2, split_seed=0
    ).fitted
    block, asked = {"name": "hf_folder", "target": "grade"}, Extras(keep=["city"], targets=True)
    [ours] = input_pieces(folder / "test", block, fitted, print, asked)
    path = Path(as_csv(tmp_path / "b.csv", (30, 100)))
    [theirs] = input_pieces(path, {"name": "csv", "target": "grade"}, fitted, print, asked)
    np.testing.assert_array_equal(ours.x, theirs.x)
    np.testing.assert_array_equal(ours.targets, theirs.targets)
    assert [list(cells) for _, cells in ours.kept] == [list(cells) for _, cells in theirs.kept]
    with pytest.raises(
        DataError, match=r"holds the splits train, test; write the folder of one, such as .*set/test"
    ):
        next(input_pieces(folder, block, fitted, print))


def test_new_rows_come_in_pieces_that_count_on(tmp_path, save_set):
    content = columns(700)
    content["city"][600] = 2
    pieces = saved_pieces(save_set(tmp_path / "set", content, FEATURES), lambda width: 64 * width)
    tables = [next(pieces), next(pieces)]
    assert [len(table.columns["size"].cells) for table in tables] == [256, 256]
    assert tables[1].columns["size"].lines[0] == 257
    with pytest.raises(DataError, match="column 'city', row 601: 2 is no label of its 2 classes"):
        next(pieces)


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("state.json", b"{", "state.json: is damaged"),
        ("state.json", b'{"_data_files": [{"filename": "../b.arrow"}]}', "does not list the files"),
        (
            "state.json",
            b'{"_data_files": [{"filename": "gone.arrow"}]}',
            r"gone\.arrow: there is no such file",
        ),
        ("state.json", b'{"_indices_data_files": [{"filename": "i"}]}', "an old version of datasets"),
        ("dataset_info.json", b'{"features": null}', "has no features"),
        (
            "dataset_info.json",
            b'{"features": {"size": {}}}',
            r"has the columns size, the files have size, city",
        ),
        ("data-00000-of-00001.arrow", b"no arrow", r"arrow: cannot be decoded"),
    ],
)
def test_a_damaged_folder_is_one_line(file, content, message, tmp_path, save_set):
    folder = save_set(tmp_path / "set", columns(30), FEATURES)
    (folder / file).write_bytes(content)
    with pytest.raises(DataError, match=message) as caught:
        hf_folder(str(folder), "grade", **OPTIONS)
    assert "\n" not in str(caught.value)


def test_a_folder_that_the_system_keeps_is_no_bug(tmp_path, monkeypatch):
    def keep(path: Path) -> bool:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "is_file", keep)
    with pytest.raises(MachineError, match="cannot be read: Permission denied"):
        hf_folder(str(tmp_path), "grade")


def test_what_is_no_saved_set_is_told_apart(tmp_path, monkeypatch, save_set):
    with pytest.raises(DataError, match="there is no folder of this name"):
        hf_folder(str(tmp_path / "gone"), "grade")
    with pytest.raises(DataError, match=r"is no data set of Hugging Face's datasets; write the folder"):
        hf_folder(str(tmp_path), "grade")
    (tmp_path / "train.parquet").write_bytes(b"PAR1")
    with pytest.raises(DataError, match=r"holds Parquet files: write data: \{name: parquet\}"):
        hf_folder(str(tmp_path), "grade")
    folder = save_set(tmp_path / "set", columns(30), FEATURES)
    with pytest.raises(DataError, match=r"without splits; leave data\.test_split out"):
        hf_folder(str(folder), "grade", test_split="test")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(DataError, match=r"set: reading it needs pyarrow; pip install 'nnrun\[parquet\]'"):
        hf_folder(str(folder), "grade")
