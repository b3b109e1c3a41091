"""The sets that come with scikit-learn: sizes and well-known numbers."""

from __future__ import annotations

import numpy as np
import pytest

from nnrun.data.breast_cancer import breast_cancer
from nnrun.data.diabetes import diabetes
from nnrun.data.digits import digits
from nnrun.data.iris import iris
from nnrun.data.wine import wine


@pytest.mark.parametrize(
    ("loader", "shape", "dtype", "counts"),
    [
        (digits, (1797, 8, 8, 1), np.uint8, [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]),
        (iris, (150, 4), np.float64, [50, 50, 50]),
        (wine, (178, 13), np.float64, [59, 71, 48]),
        (breast_cancer, (569, 30), np.float64, [212, 357]),
    ],
)
def test_content_is_as_published(loader, shape: tuple[int, ...], dtype: type, counts: list[int]):
    source = loader()
    assert source.train.x.shape == shape
    assert source.train.x.dtype == dtype
    assert np.bincount(source.train.y).tolist() == counts
    assert len(source.classes) == len(counts)
    assert source.test is None


def test_digits_are_images_of_seventeen_greys():
    source = digits()
    assert (source.train.x.min(), source.train.x.max()) == (0, 16)
    assert source.classes == tuple("0123456789")
    # the first image is a zero: an empty middle, a closed ring
    assert source.train.y[0] == 0
    assert source.train.x[0, 3:5, 3:5, 0].sum() < 5 < source.train.x[0, 1, 3, 0]


def test_iris_has_its_names_and_means():
    source = iris()
    assert source.classes == ("setosa", "versicolor", "virginica")
    np.testing.assert_allclose(source.train.x.mean(axis=0), [5.8433, 3.0573, 3.7580, 1.1993], atol=1e-3)


def test_breast_cancer_names_the_classes():
    assert breast_cancer().classes == ("malignant", "benign")


def test_diabetes_is_raw_regression():
    source = diabetes()
    assert source.classes == ()
    assert source.train.x.shape == (442, 10)
    assert set(np.unique(source.train.x[:, 1])) == {1, 2}  # sex; scaled data would hold ±0.0447
    assert (source.train.y.min(), source.train.y.max()) == (25, 346)
    assert source.train.y.mean() == pytest.approx(152.13, abs=0.01)
