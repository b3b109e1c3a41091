"""A table that changes after training: what was recorded predicts on, and its parts are as they were or refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nnrun.data._absent import Absent
from nnrun.data._pieces import input_pieces
from nnrun.data._prepare import prepare, without_data
from nnrun.data._standardise import new_inputs
from nnrun.data.csv import csv
from nnrun.errors import DataError, RunError
from nnrun.preprocessing import PARTS, Preprocessing, Wanted
from nnrun.record import preprocessing
from nnrun.types import Dataset

FLOAT32 = np.dtype(np.float32)
SPLIT = {"validation": 0.2, "test": 0.2, "split_seed": 1}
NEW = "kind,extra,b,a\nu,1,2.5,1700000000.25\nv,2,-3,17\n"  # other order, a column more, no target

Rows = list[list[str]]  # a header and rows: a, kind, b, y

number = st.floats(-1e6, 1e6, width=32).map(repr) | st.integers(0, 400).map(lambda i: str(1700000000 + i))


@st.composite
def tables(draw: st.DrawFn) -> Rows:
    """Twelve to thirty rows that can be split: u and v are both there, and so are two classes or targets."""
    targets = draw(st.sampled_from([["no", "yes"], ["b", "a", "c"], ["0.5", "1.25", "-3.75"]]))
    rows = [
        [draw(number), "uv"[i % 2], draw(number), targets[i % len(targets)]]
        for i in range(draw(st.integers(12, 30)))
    ]
    return [["a", "kind", "b", "y"], *rows]


def added(rows: Rows, draw: Callable) -> Rows:
    return [*rows, *(["1e5", "u", "-7", rows[1][3]] for _ in range(draw(st.integers(1, 30))))]


def removed(rows: Rows, draw: Callable) -> Rows:
    gone = draw(st.integers(1, len(rows) - 1))
    return rows[:gone] + rows[gone + 1 :]


def reordered(rows: Rows, draw: Callable) -> Rows:
    return [rows[0], *draw(st.permutations(rows[1:]))]


def classes_renamed(rows: Rows, draw: Callable) -> Rows:
    names = sorted({row[3] for row in rows[1:]})
    to = dict(zip(names, draw(st.permutations([*names[1:], "z"])), strict=True))
    return [rows[0], *([*row[:3], to[row[3]]] for row in rows[1:])]


def category_added(rows: Rows, draw: Callable) -> Rows:
    return [*rows, ["3", draw(st.sampled_from("awz")), "4", rows[1][3]]]


def category_renamed(rows: Rows, draw: Callable) -> Rows:
    name = draw(st.sampled_from("uvaz"))
    return [rows[0], *([row[0], name if row[1] == "u" else row[1], *row[2:]] for row in rows[1:])]


def columns_reordered(rows: Rows, draw: Callable) -> Rows:
    order = draw(st.permutations(range(4)))
    return [[row[i] for i in order] for row in rows]


def column_renamed(rows: Rows, draw: Callable) -> Rows:
    place = draw(st.sampled_from([0, 2]))
    return [[*rows[0][:place], "c", *rows[0][place + 1 :]], *rows[1:]]


def columns_exchanged(rows: Rows, draw: Callable) -> Rows:
    del draw
    return [["b", "kind", "a", "y"], *rows[1:]]


def cell_changed(rows: Rows, draw: Callable) -> Rows:
    row, column = draw(st.integers(1, len(rows) - 1)), draw(st.sampled_from([0, 2]))
    changed = [list(cells) for cells in rows]
    changed[row][column] = draw(number)
    return changed


EDITS = [
    added, removed, reordered, classes_renamed, category_added, category_renamed, columns_reordered, column_renamed,
    columns_exchanged, cell_changed,
]  # fmt: skip


def load(rows: Rows, folder: Path, need: Wanted | None = None) -> Dataset:
    file = folder / "table.csv"
    file.write_text("".join(",".join(row) + "\n" for row in rows))
    return prepare(csv(str(file), "y", categorical=["kind"]), **SPLIT, need=need)


def through_a_folder(fitted: Preprocessing, folder: Path) -> Preprocessing:
    preprocessing.write(folder, fitted)
    return preprocessing.read(folder)


def predicted_for(fitted: Preprocessing, folder: Path) -> bytes:
    """What a model gets for new inputs."""
    (folder / "new.csv").write_text(NEW)
    data = without_data(fitted, FLOAT32)
    [inputs] = input_pieces(folder / "new.csv", {"name": "csv", "delimiter": ","}, fitted, pytest.fail)
    x = new_inputs(inputs.x, fitted, FLOAT32)
    return x.tobytes() + data.shift.tobytes() + data.scale.tobytes()


@settings(deadline=None, max_examples=100)
@given(st.data(), tables(), st.lists(st.sampled_from(EDITS), min_size=1, max_size=3))
def test_parts_of_a_changed_table_are_as_they_were_or_refused(
    data: st.DataObject, rows: Rows, edits: list[Callable]
) -> None:
    with TemporaryDirectory() as name:
        folder = Path(name)
        try:
            trained = load(rows, folder)
        except DataError:  # a part with one class only, and the like
            return
        fitted = through_a_folder(trained.fitted, folder)
        before = predicted_for(trained.fitted, folder)
        for edit in edits:
            rows = edit(rows, data.draw)
        for part in PARTS:
            try:
                again = load(rows, folder, Wanted(fitted, (part,)))
            except (RunError, DataError):
                continue
            for array, expected in zip(getattr(again, part), getattr(trained, part), strict=True):
                np.testing.assert_array_equal(array, expected, strict=True)
            assert (again.classes, again.fitted) == (trained.classes, fitted)
            assert (again.fitted.target_shift, again.fitted.target_scale) == (
                trained.fitted.target_shift,
                trained.fitted.target_scale,
            )
            for exact in ("shift", "scale", "offset"):
                assert getattr(again, exact).tobytes() == getattr(trained, exact).tobytes()
        assert predicted_for(through_a_folder(trained.fitted, folder), folder) == before


@settings(deadline=None, max_examples=50)
@given(tables())
def test_an_unchanged_table_is_taken_with_every_bit(rows: Rows) -> None:
    with TemporaryDirectory() as name:
        folder = Path(name)
        try:
            trained = load(rows, folder)
        except DataError:
            return
        again = load(rows, folder, Wanted(through_a_folder(trained.fitted, folder), PARTS))
        for part in PARTS:
            for array, expected in zip(getattr(again, part), getattr(trained, part), strict=True):
                assert (array.dtype, array.tobytes()) == (expected.dtype, expected.tobytes())
        assert again.shift.tobytes() == trained.shift.tobytes()
        assert again.targets.keys() == trained.targets.keys()


ROWS: Rows = [["a", "kind", "b", "y"], *([str(i), "uv"[i % 2], str(i * i), "ny"[i % 2]] for i in range(20))]


def test_what_has_changed_is_said(tmp_path: Path) -> None:
    fitted = load(ROWS, tmp_path).fitted
    for edit, reason in [
        (lambda rows: [*rows, *rows[1:5]], r"its test part has changed \(from 4 to 5 examples\) since"),
        (lambda rows: [rows[0], *rows[:0:-1]], r"its test part has changed since it was trained; bring"),
        (
            lambda rows: [rows[0], *([*row[:3], "x" + row[3]] for row in rows[1:])],
            r"the classes of its data have changed \(from n, y to xn, xy\)",
        ),
        (
            lambda rows: [["c", *rows[0][1:]], *rows[1:]],
            r"the features of its data have changed \(a, c\)",
        ),
        (
            lambda rows: [*rows, ["1", "w", "2", "n"]],
            r"the features of its data have changed \(kind\)",
        ),
        (lambda rows: [row[::-1] for row in rows], r"the features of its data have changed \(b, kind, a\)"),
    ]:
        with pytest.raises(RunError, match=reason):
            load(edit(ROWS), tmp_path, Wanted(fitted, ("test",)))


def test_a_part_that_is_not_wanted_may_change_and_has_no_content_then(tmp_path: Path) -> None:
    """The test part has a file of its own."""
    train, test = tmp_path / "train.csv", tmp_path / "test.csv"
    text = "".join(",".join(row) + "\n" for row in ROWS)
    train.write_text(text)
    test.write_text(text)

    def read(need: Wanted | None = None) -> Dataset:
        source = csv(str(train), "y", categorical=["kind"], test_path=str(test))
        return prepare(source, validation=0.2, test=0.2, split_seed=0, need=need)

    trained = read()
    train.write_text(text + "5000,u,2,n\n" * 7)
    again = read(Wanted(trained.fitted, ("test",)))
    np.testing.assert_array_equal(again.test.x, trained.test.x, strict=True)
    assert len(again.train.y) == len(trained.train.y) == 16
    with pytest.raises(RunError, match=r"its train part has changed \(from 16 to 22 examples\)"):
        again.train.x[0:1]
    with pytest.raises(RunError, match=r"its train part has changed"):
        np.asarray(again.train.y)
    with pytest.raises(RunError, match=r"its train part has changed"):
        read(Wanted(trained.fitted, ("test", "train")))


def test_a_model_can_be_built_without_its_data(tmp_path: Path) -> None:
    trained = load(ROWS, tmp_path)
    (tmp_path / "table.csv").unlink()
    data = without_data(trained.fitted, FLOAT32)
    for part in PARTS:
        again, expected = getattr(data, part), getattr(trained, part)
        assert [(a.shape, a.dtype) for a in again] == [(a.shape, a.dtype) for a in expected]
        assert all(isinstance(array, Absent) for array in again)
        with pytest.raises(RunError, match="were not read"):
            np.asarray(again.x)
    assert (data.classes, data.targets) == (("n", "y"), {})
