"""Several targets of a regression: what they are read as, in which units they are, and what is refused."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from nnrun.data._prepare import prepare, without_data
from nnrun.data.csv import csv
from nnrun.data.npz import npz
from nnrun.errors import DataError
from nnrun.record import preprocessing

ROWS = 40
DRAW = np.random.default_rng(1)
X = DRAW.normal(size=(ROWS, 2))
Y = np.stack([1700000000 + X[:, 0], 1e-3 * X[:, 1] + 5e-4, np.arange(ROWS) % 3], axis=1)
HEAD = "a,b,height,km/h,count"


def table(folder: Path, cells: dict[tuple[int, int], str] | None = None) -> str:
    """A file with two features and three targets, with some cells (row, column) replaced."""
    rows = [[repr(float(value)) for value in row] for row in np.hstack([X, Y])]
    for (row, column), cell in (cells or {}).items():
        rows[row][column] = cell
    (folder / "t.csv").write_text("\n".join([HEAD, *map(",".join, rows)]) + "\n")
    return str(folder / "t.csv")


def test_each_target_has_units_of_its_own(tmp_path):
    source = csv(table(tmp_path), ["height", "km/h", "count"], classifies=False)
    assert source.targets == ("height", "km/h", "count") and source.classes == ()
    assert [words.becomes for words in source.table.about if words.role == "target"] == ["a number"] * 3
    data = prepare(source, validation=0.2, test=0.2, split_seed=0)
    truth = data.targets["train"]
    np.testing.assert_array_equal(truth, Y[data.rows["train"]])
    np.testing.assert_allclose(data.fitted.target_shift, truth.mean(0), rtol=1e-15)
    np.testing.assert_allclose(data.fitted.target_scale, truth.std(0), rtol=1e-7)
    # A second in 1.7 billion is there in float32, as it is subtracted before anything is rounded.
    np.testing.assert_allclose(data.train.y, (truth - truth.mean(0)) / truth.std(0), atol=1e-6)
    np.testing.assert_allclose(data.fitted.to_units(data.train.y), truth, rtol=1e-9, atol=1e-6)


def test_one_target_in_a_list_is_one_target(tmp_path):
    file = table(tmp_path)
    listed, named = (
        csv(file, target, exclude=["height", "count"], classifies=False) for target in (["km/h"], "km/h")
    )
    assert listed.targets == named.targets == ()
    np.testing.assert_array_equal(listed.train.y, named.train.y)
    assert listed.train.y.shape == (ROWS,)


def test_an_array_of_several_columns(tmp_path):
    np.savez(tmp_path / "d.npz", x=X, y=Y)
    source = npz(str(tmp_path / "d.npz"))
    assert source.targets == ("0", "1", "2")
    np.testing.assert_array_equal(source.train.y, Y)
    data = prepare(source, validation=0.2, test=0.2, split_seed=0)
    assert without_data(data.fitted).train.y.shape == data.train.y.shape


def test_counts_are_divided_by_their_means(tmp_path):
    counts = np.stack([np.arange(ROWS) % 4, 10 * (np.arange(ROWS) % 7)], axis=1) + 0.0
    np.savez(tmp_path / "d.npz", x=X, y=counts)
    data = prepare(npz(str(tmp_path / "d.npz")), validation=0, test=0.2, split_seed=0, positive=True)
    np.testing.assert_array_equal(data.fitted.target_shift, [0, 0])
    np.testing.assert_allclose(data.fitted.target_scale, data.targets["train"].mean(0))


def test_the_record_has_the_units_and_names_of_each(tmp_path):
    source = csv(table(tmp_path), ["km/h", "height"], exclude=["count"], classifies=False)
    fitted = prepare(source, validation=0.2, test=0.2, split_seed=0).fitted
    preprocessing.write(tmp_path, fitted)
    again = preprocessing.read(tmp_path)
    assert repr(again) == repr(fitted) and again.digest == fitted.digest
    assert again.target_shift.tobytes() == fitted.target_shift.tobytes()  # type: ignore[union-attr]
    renamed = fitted._replace(targets=("v", "height"))
    assert renamed.digest != fitted.digest


SEVERAL = ["height", "km/h"]
FAULTS = {
    r"data.target: 'height' is listed twice; write it once": {"target": ["height", "height"]},
    r"data.target: the list is empty; write the column to predict": {"target": []},
    r"t.csv:1: data.target: there is no column 'hight'; did you mean 'height'\?": {
        "target": ["hight", "km/h"]
    },
    r"data.exclude: 'h\*' fits the target 'height'; name what is to be left out": {"exclude": ["h*"]},
    r"data.categorical: 'km/h' is a target, and no feature; leave it out of one": {"categorical": ["km/h"]},
    r"data.dates: 'km/h' is a target, and no feature; leave it out of one": {"dates": {"km/h": "days"}},
    r"without the targets 'height', 'km/h'$": {"features": ["a", "km/h"]},
    r"data.weights: 'height' is the target or has another role": {"weights": "height"},
    r"several targets are numbers or labels, and data.task is classification; write loss: binary_cross": {
        "task": "classification"
    },
    r"several targets are numbers or labels, and the loss is one of classes; write loss: bin": {
        "classifies": True
    },
    r"t.csv:1:5: column 'count' may hold classes, .*; write loss: binary_cross_entropy if each": {
        "target": ["height", "count"],
        "classifies": None,
    },
}


@pytest.mark.parametrize(("message", "options"), FAULTS.items())
def test_what_does_not_fit_is_refused_in_one_line(tmp_path, message, options):
    with pytest.raises(DataError, match=message) as refused:
        csv(table(tmp_path), **{"target": SEVERAL, "classifies": False, **options})
    assert "\n" not in str(refused.value)


def test_missing_and_constant_targets_are_named_all_at_once(tmp_path):
    with pytest.raises(DataError) as refused:
        csv(table(tmp_path, {(3, 2): "", (7, 3): "NA"}), SEVERAL, classifies=False)
    first, second = str(refused.value).splitlines()
    assert re.search(
        r"t.csv:5:3: column 'height': '' is a missing value; fill it in or remove the row$", first
    )
    assert re.search(r"t.csv:9:4: column 'km/h': 'NA' is a missing value", second)
    same = {(row, column): "7" for row in range(ROWS) for column in (2, 4)}
    with pytest.raises(DataError) as refused:
        csv(table(tmp_path, same), ["height", "km/h", "count"], classifies=False)
    first, second = str(refused.value).splitlines()
    assert "t.csv:2:3: column 'height' is a target and 7 in every row, from which nothing is learned" in first
    assert "t.csv:2:5: column 'count'" in second


def test_a_count_below_0_is_named_with_its_column(tmp_path):
    source = csv(table(tmp_path, {(4, 4): "-2"}), ["height", "count"], exclude=["km/h"], classifies=False)
    with pytest.raises(DataError, match=r"t.csv:6:5: column 'count': -2 is no count"):
        prepare(source, validation=0.2, test=0.2, split_seed=0, positive=True)


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (np.eye(3)[np.arange(ROWS) % 3], "are one-hot; needed: one number for each example: y.argmax"),
        (
            np.ones((ROWS, 2, 2)),
            r"targets of shape \(40, 2, 2\); needed: one number for each example, \(n,\), or",
        ),
        (
            np.arange(2 * ROWS).reshape(-1, 2) % 5,
            r"labels of shape \(40, 2\); .* targets of a regression are floats",
        ),
        (
            np.where(np.arange(2) == 1, 3.0, Y[:, :2]),
            r"array 'y': its column 1 is 3 in every row, .*np.delete\(y, \[1\]",
        ),
    ],
)
def test_arrays_that_are_no_targets(tmp_path, y, message):
    np.savez(tmp_path / "d.npz", x=X, y=y)
    with pytest.raises(DataError, match=message):
        npz(str(tmp_path / "d.npz"))


def test_shapes_and_names_of_a_loader_must_agree(tmp_path):
    np.savez(tmp_path / "d.npz", x=X, y=Y)
    np.savez(tmp_path / "e.npz", x=X, y=Y[:, :2])
    with pytest.raises(DataError, match=r"training part has targets \(3,\), of the test part \(2,\)"):
        npz(str(tmp_path / "d.npz"), test_path=str(tmp_path / "e.npz"))
    source = npz(str(tmp_path / "d.npz"))
    for names, message in (
        (("u", "u", "v"), "2 different names for 3 targets"),
        (("u",), "1 different names"),
    ):
        with pytest.raises(DataError, match=message):
            prepare(source._replace(targets=names), validation=0.2, test=0.2, split_seed=0)
    with pytest.raises(DataError, match=r"data.stratify: .* there are several; leave it out"):
        prepare(source, validation=0.2, test=0.2, split_seed=0, stratify=True)
