"""Means and deviations, against NumPy in float64."""

from __future__ import annotations

import numpy as np
import pytest

from nnrun.data import _moments
from nnrun.data._moments import moments

RNG = np.random.default_rng(0)
ARRAYS = {
    "float32": RNG.normal(3, 2, (101, 4)).astype(np.float32),
    "uint8": RNG.integers(0, 256, (101, 5, 3, 1)).astype(np.uint8),
}


@pytest.mark.parametrize("x", ARRAYS.values(), ids=ARRAYS)
@pytest.mark.parametrize(("kind", "axis"), [("feature", 0), ("image", None)])
def test_they_are_those_of_a_float64_copy(monkeypatch: pytest.MonkeyPatch, x: np.ndarray, kind: str, axis):
    for chunk in (7, 1 << 20):
        monkeypatch.setattr(_moments, "_CHUNK", chunk)
        shift, scale = moments(x, kind)
        assert shift.dtype == scale.dtype == np.float64
        np.testing.assert_allclose(shift, x.astype(np.float64).mean(axis), rtol=1e-12)
        np.testing.assert_allclose(scale, x.astype(np.float64).std(axis), rtol=1e-12)


def test_none_is_zero_and_one():
    assert tuple(map(float, moments(ARRAYS["uint8"], "none"))) == (0.0, 1.0)


def test_what_does_not_vary_has_no_deviation():
    x = np.tile(np.array([0.1, 3e38, 1e-45], np.float32), (1000, 1))
    shift, scale = moments(x, "feature")
    np.testing.assert_array_equal(shift, x[0])
    np.testing.assert_array_equal(scale, np.zeros(3))
    assert float(moments(np.full((9, 2), 7, np.uint8), "image")[1]) == 0


def test_a_large_offset_costs_no_digits():
    x = (16_000_000 + np.arange(8, dtype=np.float32))[:, None]  # exact in float32
    assert moments(x, "feature")[1][0] == pytest.approx(np.arange(8).std(), rel=1e-6)
