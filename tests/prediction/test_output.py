"""Predictions as files: what stands in each column, by hand, and read back to the last bit."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nnrun.errors import SpecError
from nnrun.prediction.output import (
    STDOUT,
    Prediction,
    check_kept,
    check_output,
    names_of_labels,
    row_column,
    write,
    write_csv,
)

CLASSES = Prediction(("a", 'b,"c"'), np.array([[0.25, 0.75], [1.0, 0.0], [0.5, 0.5]]), [], None)
NUMBERS = Prediction((), np.array([1 / 3, -1e-300, 1e22]), [], None)
SEVERAL = Prediction((), np.array([[1.5, -2.0], [0.0, 1e6]]), [], None, of_targets=("height", "weight"))
LABELS = Prediction(
    (), np.array([[0.5, 0.75], [0.51, 0.0]]), [], None, of_targets=("tall", "warm"),
    label_classes=(("no", "yes"), ("cold", "hot")),
)  # fmt: skip


def pieces(*given: Prediction) -> Any:
    return (piece for piece in given)


def text_of(*given: Prediction) -> str:
    parts: list[str] = []
    count = write_csv(parts.append, iter(given))
    assert count == sum(len(piece.values) for piece in given)
    return "".join(parts)


def rows_of(*given: Prediction) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text_of(*given))))


def test_classes_have_a_label_and_a_probability_for_each() -> None:
    known = CLASSES._replace(names=["x.png", "y.png", "z.png"], targets=np.array([1, 1, 0]))
    assert rows_of(known) == [
        ["name", "label", "p(a)", 'p(b,"c")', "target"],
        ["x.png", 'b,"c"', "0.25", "0.75", 'b,"c"'],
        ["y.png", "a", "1.0", "0.0", 'b,"c"'],
        ["z.png", "a", "0.5", "0.5", "a"],  # of equal ones the first
    ]
    assert rows_of(CLASSES._replace(scores=True))[0] == ["label", "score(a)", 'score(b,"c")']


def test_numbers_keep_all_their_digits() -> None:
    rows = rows_of(NUMBERS._replace(half_width=0.5, targets=np.array([0.1, 0.2, 0.3])))
    assert rows[0] == ["prediction", "lower", "upper", "target"]
    values = NUMBERS.values
    np.testing.assert_array_equal(
        np.array(rows[1:], float), np.stack([values, values - 0.5, values + 0.5, [0.1, 0.2, 0.3]], 1)
    )


def test_columns_of_several_targets_stand_one_target_after_another() -> None:
    rows = rows_of(
        SEVERAL._replace(half_width=np.array([0.5, 10.0]), targets=np.array([[1.0, 2.0], [3.0, 4.0]]))
    )
    assert rows[0] == [
        "prediction(height)", "lower(height)", "upper(height)", "prediction(weight)", "lower(weight)",
        "upper(weight)", "target(height)", "target(weight)",
    ]  # fmt: skip
    assert [float(cell) for cell in rows[1]] == [1.5, 1.0, 2.0, -2.0, -12.0, 8.0, 1.0, 2.0]
    assert rows_of(SEVERAL)[0] == ["prediction(height)", "prediction(weight)"]


def test_a_label_is_there_where_its_probability_is_above_a_half() -> None:
    rows = rows_of(LABELS._replace(targets=np.array([[1.0, 0.0], [0.0, 1.0]])))
    assert rows == [
        ["label(tall)", "p(tall=yes)", "label(warm)", "p(warm=hot)", "target(tall)", "target(warm)"],
        ["no", "0.5", "hot", "0.75", "yes", "cold"],
        ["yes", "0.51", "cold", "0.0", "no", "hot"],
    ]
    assert names_of_labels(np.array([[0.9, 0.1]]), LABELS.label_classes).tolist() == [["yes", "cold"]]


def test_what_is_carried_along_comes_first_and_the_header_once() -> None:
    first = NUMBERS._replace(kept=[("id", ["7", "8", "9"]), row_column(np.array([4, 2, 0]))])
    second = NUMBERS._replace(kept=[("id", ["x", "", "z"]), row_column(np.array([1, 3, 5]))])
    rows = rows_of(first, second)
    assert rows[0] == ["id", "row", "prediction"] and len(rows) == 7
    assert [row[:2] for row in rows[1:]] == [
        ["7", "4"],
        ["8", "2"],
        ["9", "0"],
        ["x", "1"],
        ["", "3"],
        ["z", "5"],
    ]


def test_an_archive_of_classes_holds_what_the_csv_says(tmp_path: Path) -> None:
    known = CLASSES._replace(
        names=["x", "y", "z"], targets=np.array([1, 1, 0]), kept=[("id", ["1", "2", "3"])]
    )
    assert write(tmp_path / "p.npz", pieces(known, known)) == 6
    with np.load(tmp_path / "p.npz") as arrays:
        assert sorted(arrays) == ["classes", "kept/id", "labels", "names", "probabilities", "targets"]
        np.testing.assert_array_equal(arrays["labels"], [1, 0, 0, 1, 0, 0])
        np.testing.assert_array_equal(arrays["probabilities"], np.tile(CLASSES.values, (2, 1)))
        assert arrays["classes"].tolist() == list(CLASSES.classes)
        assert (
            arrays["names"].tolist() == ["x", "y", "z"] * 2
            and arrays["kept/id"].tolist() == ["1", "2", "3"] * 2
        )
        assert arrays["targets"].tolist() == [1, 1, 0] * 2


@pytest.mark.parametrize(
    ("prediction", "names"),
    [
        (CLASSES._replace(scores=True), ["classes", "labels", "scores"]),
        (NUMBERS, ["predictions"]),
        (NUMBERS._replace(half_width=2.0), ["lower", "predictions", "upper"]),
        (SEVERAL, ["predictions", "target_names"]),
        (LABELS, ["label_classes", "labels", "probabilities", "target_names"]),
    ],
)
def test_the_arrays_of_an_archive(prediction: Prediction, names: list[str], tmp_path: Path) -> None:
    write(tmp_path / "p.npz", pieces(prediction))
    with np.load(tmp_path / "p.npz") as arrays:
        assert sorted(arrays) == names
        if "lower" in names:
            np.testing.assert_array_equal(
                arrays["upper"] - arrays["predictions"], [2, 2, 0]
            )  # of 1e22, 2 is nothing
            np.testing.assert_array_equal(arrays["predictions"] - arrays["lower"], [2, 2, 0])
        if "label_classes" in names:
            assert arrays["labels"].tolist() == [[0, 1], [1, 0]]
            assert arrays["label_classes"].tolist() == [["no", "yes"], ["cold", "hot"]]


@pytest.mark.parametrize("suffix", [".csv", ".npz"])
def test_a_prediction_that_fails_leaves_the_old_file(suffix: str, tmp_path: Path) -> None:
    output = tmp_path / f"p{suffix}"
    output.write_text("old")
    closed: list[bool] = []

    def failing() -> Iterator[Prediction]:
        try:
            yield NUMBERS
            raise SpecError("no further")
        finally:
            closed.append(True)

    with pytest.raises(SpecError, match="no further"):
        write(output, failing())  # type: ignore[arg-type]
    assert output.read_text() == "old" and [path.name for path in tmp_path.iterdir()] == [output.name]
    assert closed == [True]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("p.txt", "write a name that ends in .csv or .npz"),
        ("p", "write a name that ends in .csv or .npz"),
        ("folder.csv", "is a folder; write the name of a file"),
        ("old.csv", "already exists; write --force to replace it"),
        ("no/p.csv", "no such folder; make it first"),
    ],
)
def test_where_predictions_cannot_be_written(name: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "old.csv").write_text("")
    with pytest.raises(SpecError, match=re.escape(message)):
        check_output(tmp_path / name)
    if name != "old.csv":
        with pytest.raises(SpecError):
            check_output(tmp_path / name, force=True)
    check_output(tmp_path / "old.csv", force=True)
    check_output(tmp_path / "new.npz")
    check_output(STDOUT)


@pytest.mark.parametrize(
    ("prediction", "name"),
    [(CLASSES, "label"), (CLASSES, "p(a)"), (NUMBERS, "prediction"), (LABELS, "p(warm=hot)")],
)
def test_a_kept_column_with_the_name_of_a_prediction_is_refused(prediction: Prediction, name: str) -> None:
    with pytest.raises(
        SpecError, match=re.escape(f"--keep {name}: the predictions have a column of that name")
    ):
        check_kept(prediction._replace(kept=[("id", ["1"]), (name, ["1"])]))
    check_kept(prediction._replace(kept=[("id", ["1"]), ("lower", ["1"])]))  # there is no interval
