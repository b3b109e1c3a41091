"""What a source must satisfy."""

from __future__ import annotations

import numpy as np
import pytest

from nnrun.data._check import check
from nnrun.errors import DataError
from nnrun.types import Examples, Source

X = np.arange(12, dtype=np.float32).reshape(6, 2)
Y = np.array([0, 1, 2, 0, 1, 2], np.int32)
GOOD = Source(Examples(X, Y), Examples(X[:2], Y[:2]), ("a", "b", "c"), "feature")
REGRESSION = Source(Examples(X, X[:, 0]), None, (), "none")


def with_train(x: np.ndarray = X, y: np.ndarray = Y) -> Source:
    return GOOD._replace(train=Examples(x, y))


def put(array: np.ndarray, index: int, value: float) -> np.ndarray:
    changed = array.copy()
    changed.flat[index] = value
    return changed


@pytest.mark.parametrize("source", [GOOD, REGRESSION], ids=["labels", "regression"])
def test_a_sound_source_comes_back_as_it_is(source: Source):
    assert check(source, "set") is source


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (with_train(x=X[:5]), "set: training part: 5 inputs but 6 targets"),
        (with_train(X[:1], Y[:1]), "training part: 1 example; at least 2"),
        (with_train(x=X[:, 0]), r"inputs of shape \(6,\)"),
        (with_train(x=X[:, :0]), r"inputs of shape \(6, 0\)"),
        (with_train(y=Y[:, None]), r"labels of shape \(6, 1\)"),
        (with_train(x=X.astype(np.int64)), "inputs of type int64; needed: uint8, float32 or float64"),
        (
            with_train(x=put(X, 3, np.nan)),
            r"inputs: 1 value is NaN or infinite, the first at index \(1, 1\)",
        ),
        (with_train(x=put(X, 0, np.inf)), "1 value is NaN or infinite"),
        (with_train(y=Y.astype(np.int64)), "labels of type int64; needed: int32"),
        (
            with_train(y=put(Y, 4, 3)),
            "1 label out of range, the first 3 at index 4; .* 3 classes are 0 to 2",
        ),
        (with_train(y=put(Y, 0, -1)), "the first -1 at index 0"),
        (with_train(y=np.zeros_like(Y)), "every example is of class 0; two classes are needed"),
        (with_train(y=np.zeros_like(Y))._replace(classes=("a",)), "every target is the same"),
        (GOOD._replace(classes=("a", "b", "a")), "3 class names; .* all different"),
        (GOOD._replace(classes=()), "targets of type int32 without class names"),
        (GOOD._replace(standardize="pixel"), "standardize is 'pixel'; it is feature, image or none"),
        (GOOD._replace(test=Examples(X[:0], Y[:0])), "test part: 0 examples; at least 1"),
        (GOOD._replace(test=Examples(X[:2], put(Y[:2], 0, 7))), "test part: 1 label out of range"),
        (GOOD._replace(test=Examples(X[:, :1], Y)), r"has shape \(2,\), of the test part \(1,\)"),
        (GOOD._replace(test=Examples(X.astype(np.uint8), Y)), "has type float32, of the test part uint8"),
        (REGRESSION._replace(train=Examples(X, put(X[:, 0], 2, np.nan))), "targets: 1 value is NaN"),
    ],
)
def test_an_unsound_source_is_refused_on_one_line(source: Source, message: str):
    with pytest.raises(DataError, match=message) as caught:
        check(source, "set")
    assert "\n" not in str(caught.value)


def test_the_place_is_escaped():
    with pytest.raises(DataError, match=r"^a\\x1b\[31m\.csv: "):
        check(with_train(x=X[:5]), "a\x1b[31m.csv")
