"""Numbers with a large offset: nothing is rounded before the offset is gone."""

from __future__ import annotations

import numpy as np
import pytest

from nnrun.data._check import check
from nnrun.data._prepare import prepare
from nnrun.data._rounding import check_distinct, rounded
from nnrun.data.csv import csv
from nnrun.data.npz import npz
from nnrun.errors import DataError
from nnrun.types import Examples, Source

OFFSET = 1_700_000_000.0
FLOAT64 = np.dtype(np.float64)


def ready(source, **options):
    return prepare(source, **{"validation": 0.2, "test": 0.2, "split_seed": 0, **options})


def table(tmp_path, rows, name="t.csv"):
    file = tmp_path / name
    file.write_text("a,y\n" + "\n".join(f"{a!r},{y!r}" for a, y in rows))
    return str(file)


@pytest.mark.parametrize("kind", ["csv", "npz"])
def test_a_feature_with_a_large_offset_keeps_all_its_values(kind, tmp_path):
    values = OFFSET + np.arange(400)
    labels = np.arange(400) % 2
    if kind == "csv":
        source = csv(table(tmp_path, zip(values.tolist(), labels.tolist(), strict=True)), "y")
    else:
        np.savez(tmp_path / "t.npz", x=values[:, None], y=labels)
        source = npz(str(tmp_path / "t.npz"))
    data = ready(source)
    x = data.train.x[:, 0]
    assert x.dtype == np.float32
    assert len(np.unique(x)) == len(x) == 240
    standardised = (x - data.shift) / data.scale
    original = np.sort(
        np.concatenate([part.x[:, 0] + data.offset for part in (data.train, data.val, data.test)])
    )
    np.testing.assert_allclose(original, values, rtol=0, atol=2e-5)  # half a bit of 24 in 200
    assert abs(standardised.mean()) < 1e-6
    assert standardised.std() == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("precision", [np.dtype(np.float32), FLOAT64])
def test_targets_are_standardised_in_float64_and_kept_as_they_are(precision, tmp_path):
    targets = OFFSET + np.random.default_rng(0).permutation(400)
    source = csv(table(tmp_path, [(float(i), float(y)) for i, y in enumerate(targets)]), "y")
    data = ready(source, precision=precision)
    for name in ("train", "val", "test"):
        y = getattr(data, name).y
        assert y.dtype == precision
        in_units = y.astype(np.float64) * data.fitted.target_scale + data.fitted.target_shift
        np.testing.assert_allclose(
            in_units, data.targets[name], rtol=0, atol=100 * np.finfo(precision).eps + 3e-7
        )
    np.testing.assert_array_equal(np.sort(np.concatenate(list(data.targets.values()))), np.sort(targets))
    assert data.fitted.target_shift == pytest.approx(data.targets["train"].mean(), rel=1e-15)
    assert data.fitted.target_scale == pytest.approx(data.targets["train"].std(), rel=1e-12)


def test_inputs_keep_the_precision_of_the_run(tmp_path):
    x = np.random.default_rng(0).normal(size=(50, 3))
    data = ready(Source(Examples(x, np.arange(50.0)), None, (), "feature"), precision=FLOAT64)
    assert data.train.x.dtype == np.float64
    rows = np.concatenate([part.x for part in (data.train, data.val, data.test)]) + data.offset
    np.testing.assert_allclose(np.sort(rows, axis=0), np.sort(x, axis=0), rtol=0, atol=1e-15)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_what_is_stored_short_stays_as_it_is(dtype):
    x = np.random.default_rng(0).integers(0, 256, (60, 4)).astype(dtype)
    data = ready(Source(Examples(x, np.arange(60, dtype=np.int32) % 2), None, ("a", "b"), "feature"))
    assert data.train.x.dtype == dtype
    assert (data.offset == 0).all()
    np.testing.assert_allclose(data.shift, data.train.x.astype(np.float64).mean(0), rtol=1e-6)


def test_float64_that_streams_is_rounded_around_its_mean():
    x = OFFSET + np.arange(400.0)[:, None]
    source = Source(Examples(x, np.arange(400, dtype=np.int32) % 2), None, ("a", "b"), "feature")
    data, whole = ready(source, room=0), ready(source)
    np.testing.assert_array_equal(data.train.x[:], whole.train.x)
    assert data.fitted.digest == whole.fitted.digest


def test_values_that_become_one_are_refused():
    x = np.concatenate([np.arange(99.0), [1e12]])[:, None]
    source = Source(Examples(x, np.arange(100, dtype=np.int32) % 2), None, ("a", "b"), "feature")
    with pytest.raises(DataError, match=r"input 0: its \d+ different values are \d+ in float32.*float64"):
        ready(source)
    assert ready(source, precision=FLOAT64).train.x.dtype == np.float64


def test_rounded_is_the_difference_in_float64():
    x = OFFSET + np.random.default_rng(1).random((5000, 7))
    offset = x.mean(0)
    np.testing.assert_array_equal(rounded(x, offset, np.dtype(np.float32)), (x - offset).astype(np.float32))
    assert rounded(x[:0], offset, np.dtype(np.float32)).shape == (0, 7)
    check_distinct(x[:0], x[:0], "input")


@pytest.mark.parametrize("shape", [(10, 3, 16, 16), (10, 1, 28, 28), (10, 3, 8, 32)])
def test_channels_first_are_refused_with_the_transposition(shape):
    source = Source(
        Examples(np.zeros(shape, np.uint8), np.arange(10, dtype=np.int32) % 2), None, ("a", "b"), "image"
    )
    n, c, h, w = shape
    with pytest.raises(DataError, match=rf"channels first.*\({n}, {h}, {w}, {c}\).*transpose\(0, 2, 3, 1\)"):
        check(source, "data")


@pytest.mark.parametrize("shape", [(10, 16, 16, 3), (10, 28, 28, 1), (10, 3, 3, 8), (10, 3, 16)])
def test_other_shapes_pass(shape):
    source = Source(
        Examples(np.zeros(shape, np.uint8), np.arange(10, dtype=np.int32) % 2), None, ("a", "b"), "image"
    )
    assert check(source, "data") is source


@pytest.mark.parametrize("kind", ["feature", "target", "decimals", "npz"])
def test_numbers_of_more_digits_than_float64_has_are_refused(kind, tmp_path):
    """2**60 and the 100 numbers after it are one float64: a constant feature, or a target of r2 that is not so."""
    high, low = [2**60 + i for i in range(100)], list(range(100))
    with pytest.raises(DataError, match=r"its 100 different values are [12] in float64"):
        if kind == "feature":
            csv(table(tmp_path, [(a, i % 2) for i, a in zip(low, high, strict=True)]), "y")
        elif kind == "target":
            csv(table(tmp_path, zip(low, high, strict=True)), "y")
        elif kind == "decimals":
            (tmp_path / "t.csv").write_text(
                "a,y\n" + "\n".join(f"1700000000.50000000{i:03},{i % 2}" for i in low)
            )
            csv(str(tmp_path / "t.csv"), "y")
        else:
            np.savez(tmp_path / "t.npz", x=np.array(high)[:, None], y=np.arange(100) % 2)
            npz(str(tmp_path / "t.npz"))


def test_class_ids_of_as_many_digits_stay_apart(tmp_path):
    source = csv(table(tmp_path, [(i, 2**60 + i % 5) for i in range(100)]), "y")
    assert source.classes == tuple(str(2**60 + i) for i in range(5))
