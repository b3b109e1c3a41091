"""Several labels of two classes each: what they are read as, and what is refused."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from nnrun.data._check import check
from nnrun.data._prepare import prepare, without_data
from nnrun.data.csv import csv
from nnrun.data.npz import npz
from nnrun.errors import DataError
from nnrun.preprocessing import change_of
from nnrun.record import preprocessing
from nnrun.types import Examples, Source

ROWS = 40
DRAW = np.random.default_rng(1)
X = DRAW.normal(size=(ROWS, 2))
WET, COLD = DRAW.integers(0, 2, ROWS), DRAW.integers(0, 2, ROWS)
NAMES = np.array(["warm", "cold"])  # sorted: cold is 0, warm is 1


def table(folder: Path, cells: dict[int, tuple[str, str]] | None = None) -> str:
    lines = ["a,b,wet,cold"]
    for row, (x, wet, cold) in enumerate(zip(X.tolist(), WET.tolist(), COLD.tolist(), strict=True)):
        labels = (cells or {}).get(row, (str(wet), str(NAMES[cold])))
        lines.append(",".join([*map(repr, x), *labels]))
    (folder / "t.csv").write_text("\n".join(lines) + "\n")
    return str(folder / "t.csv")


def test_labels_are_0_and_1_and_stay_so(tmp_path):
    source = csv(table(tmp_path), ["wet", "cold"], binary=True, classifies=False)
    assert source.label_classes == (("0", "1"), ("cold", "warm")) and source.classes == ()
    np.testing.assert_array_equal(source.train.y, np.stack([WET, 1 - COLD], 1))
    becomes = [words.becomes for words in source.table.about if words.role == "target"]
    assert becomes == ["a label, 0 or 1", "a label, cold or warm"]
    data = prepare(source, validation=0.2, test=0.2, split_seed=0)
    np.testing.assert_array_equal(data.train.y, np.stack([WET, 1 - COLD], 1)[data.rows["train"]])
    np.testing.assert_array_equal(data.fitted.target_shift, [0, 0])
    np.testing.assert_array_equal(data.fitted.target_scale, [1, 1])


def test_a_run_folder_records_their_classes(tmp_path):
    source = csv(table(tmp_path), ["wet", "cold"], binary=True)
    fitted = prepare(source, validation=0.2, test=0.2, split_seed=0).fitted
    preprocessing.write(tmp_path, fitted)
    again = preprocessing.read(tmp_path)
    assert again.label_classes == fitted.label_classes and again.digest == fitted.digest
    assert without_data(again).fitted.label_classes == fitted.label_classes
    today = fitted._replace(label_classes=(("0", "1"), ("cold", "hot")))
    assert "classes of its labels have changed" in change_of("train", today, fitted.parts["train"], fitted)
    assert today.digest != fitted.digest


def test_an_array_of_zeros_and_ones(tmp_path):
    y = np.stack([WET, COLD], 1)
    file = str(tmp_path / "d.npz")
    for stored in (y, y.astype(bool), y.astype(np.float32)):
        np.savez(file, x=X, y=stored)
        source = npz(file, binary=True)
        assert source.targets == ("0", "1") and source.label_classes == (("0", "1"),) * 2
        np.testing.assert_array_equal(source.train.y, y.astype(float))
    one_hot = np.eye(3)[np.arange(ROWS) % 3]
    np.savez(file, x=X, y=one_hot)
    np.testing.assert_array_equal(npz(file, binary=True).train.y, one_hot)  # one label each, by chance or not
    for bad, words in (
        (y[:, 0], "needed: (n, k) zeros and ones"),
        (2 * y, "labels of binary_cross_entropy are 0"),
    ):
        np.savez(file, x=X, y=bad)
        with pytest.raises(DataError, match=re.escape(words)):
            npz(file, binary=True)


def test_what_is_no_label_is_refused_with_a_line_each(tmp_path):
    bad = table(tmp_path, {3: ("2", "mild")})
    with pytest.raises(DataError) as error:
        csv(bad, ["wet", "cold"], binary=True)
    first, second = str(error.value).splitlines()
    assert "'wet' is a label of binary_cross_entropy, and has 3 classes (0, 1, 2); needed: two" in first
    assert "'cold'" in second and "cold, mild, warm" in second
    good = table(tmp_path)
    with pytest.raises(DataError, match=r"several labels, and there is one; .* or loss: cross_entropy"):
        csv(good, "wet", binary=True)
    with pytest.raises(DataError, match=r"data\.task: regression, and the loss is one of labels"):
        csv(good, ["wet", "cold"], binary=True, task="regression")
    with pytest.raises(DataError, match="loss: binary_cross_entropy if each is one of two classes"):
        csv(good, ["wet", "cold"])
    with pytest.raises(DataError, match=r"t.csv:5:3: .*is empty|missing"):
        csv(table(tmp_path, {3: ("", "cold")}), ["wet", "cold"], binary=True)


def test_a_label_that_the_training_part_has_one_class_of(tmp_path):
    first = np.arange(ROWS) < 12  # which, in the order of time, are in the training part alone
    lines = ["day,a,wet,cold", *(f"{i},{float(X[i, 0])!r},{int(not first[i])},{i % 2}" for i in range(ROWS))]
    (tmp_path / "t.csv").write_text("\n".join(lines) + "\n")
    source = csv(str(tmp_path / "t.csv"), ["wet", "cold"], time="day", binary=True)
    with pytest.raises(
        DataError, match=r"has the label 'wet' 0, from which nothing is learned of 1; make data.val"
    ):
        prepare(source, validation=0.3, test=0.45, split_seed=0)


def test_labels_of_a_loader_of_ones_own():
    def source(y: np.ndarray, pairs: tuple[tuple[str, str], ...]) -> Source:
        return check(Source(Examples(X, y), None, (), "feature", label_classes=pairs), "mine")

    y = np.stack([WET, COLD], 1).astype(float)
    assert source(y, (("no", "yes"),) * 2).targets == ("0", "1")
    with pytest.raises(DataError, match="labels other than 0 and 1"):
        source(2 * y, (("no", "yes"),) * 2)
    with pytest.raises(DataError, match="label_classes of 1 labels for 2 targets"):
        source(y, (("no", "yes"),))
    with pytest.raises(DataError, match="two names for each"):
        source(y, (("no", "yes"), ("no", "no")))
