"""The sets of scikit-learn, read from its files or by its functions."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn import datasets

from nnrun.data._bundled import bundled
from nnrun.errors import DataError


@pytest.mark.parametrize("files", [True, False])
@pytest.mark.parametrize("name", ["digits", "wine", "iris", "breast_cancer"])
def test_it_is_what_scikit_learn_loads(name: str, files: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where another version of scikit-learn keeps its files elsewhere."""
    if not files:
        monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    source, content = bundled(name, "feature"), getattr(datasets, f"load_{name}")()
    np.testing.assert_array_equal(source.train.x, content.data)
    np.testing.assert_array_equal(source.train.y, content.target)
    assert (source.train.x.dtype, source.train.y.dtype) == ("float64", "int32")
    assert source.classes == tuple(map(str, content.target_names))


@pytest.mark.parametrize("files", [True, False])
def test_numbers_are_targets_of_a_regression(files: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not files:
        monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    source = bundled("diabetes", "feature", scaled=False)
    content: Any = datasets.load_diabetes(scaled=False)
    np.testing.assert_array_equal(source.train.x, content.data)
    np.testing.assert_array_equal(source.train.y, content.target)
    assert source.classes == ()


def test_a_file_of_other_content_is_left_to_scikit_learn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A changed digit in the file, here of a copy, is not taken for the table that is known."""
    data = tmp_path / "sklearn" / "datasets" / "data"
    data.mkdir(parents=True)
    content = (Path(datasets.__file__).parent / "data" / "iris.csv").read_text()
    (data / "iris.csv").write_text(content.replace("5.1", "9.1", 1))
    spec = importlib.util.spec_from_file_location("sklearn", tmp_path / "sklearn" / "__init__.py")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: spec)
    np.testing.assert_array_equal(bundled("iris", "feature").train.x, datasets.load_iris().data)


def test_scikit_learn_is_not_imported_for_a_file() -> None:
    code = (
        "import sys; from nnrun.data.digits import digits; from nnrun.data.diabetes import diabetes; "
        "digits(), diabetes(); sys.exit('sklearn' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_where_scikit_learn_is_missing_the_message_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(DataError, match=r"^wine: comes with scikit-learn, .*; pip install scikit-learn$"):
        bundled("wine", "feature")
