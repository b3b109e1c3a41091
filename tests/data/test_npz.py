"""NumPy archives: what they become, and that a hostile one ends in one line."""

from __future__ import annotations

import io
import pickle
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest

from nnrun.data import _npy
from nnrun.data.npz import npz
from nnrun.errors import DataError
from nnrun.types import Source

X = np.arange(24, dtype=np.uint8).reshape(4, 3, 2)
Y = np.array([0, 1, 2, 1])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "d.npz"


def load(path: Path, **options) -> Source:
    return npz(str(path), **options)


def npy(array: np.ndarray) -> bytes:
    out = io.BytesIO()
    np.save(out, array)
    return out.getvalue()


def pack(path: Path, members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> None:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_labels_and_bytes(path: Path, save):
    save(path, x=X, y=Y)
    source = load(path)
    np.testing.assert_array_equal(source.train.x, X)
    assert source.train.x.dtype == np.uint8
    assert (source.train.y.tolist(), source.train.y.dtype) == ([0, 1, 2, 1], np.int32)
    assert (source.classes, source.test, source.standardize) == (("0", "1", "2"), None, "feature")


@pytest.mark.parametrize("dtype", ["<i8", ">i2", "?", "<f2", ">f4", "<f8", "<u4"])
def test_other_types_become_floats_that_hold_them(path: Path, dtype: str):
    x = (X % 2).astype(dtype)
    np.savez(path, x=np.asfortranarray(x), y=Y)
    source = load(path)
    assert source.train.x.dtype == (np.float32 if dtype in (">i2", "?", "<f2", ">f4") else np.float64)
    np.testing.assert_array_equal(source.train.x, (X % 2).astype(np.float32))
    assert source.train.x.flags.c_contiguous


def test_floats_are_regression_targets_and_a_column_will_do(path: Path):
    np.savez(path, inputs=X, price=np.linspace(0, 1, 4)[:, None])
    source = load(path, x="inputs", y="price", standardize="image")
    assert (source.classes, source.standardize) == ((), "image")
    np.testing.assert_array_equal(source.train.y, np.linspace(0, 1, 4))


def test_float_labels_are_refused_where_the_loss_wants_labels(path: Path):
    np.savez(path, x=X, y=Y.astype(np.float64))
    with pytest.raises(
        DataError, match=r"array 'y': labels saved as float64; save integers: y.astype\(int\)"
    ):
        load(path, classifies=True)
    for classifies in (None, False):
        assert load(path, classifies=classifies).classes == ()


def test_integers_are_refused_where_the_loss_wants_numbers(path: Path):
    """Counts from 0 to 49 would be fifty classes if the remedy were another loss."""
    np.savez(path, x=X, y=Y.astype(np.int64))
    with pytest.raises(DataError, match=r"array 'y': integers are labels, .* save floats: y.astype\(float\)"):
        load(path, classifies=False)


def test_the_test_part_comes_from_its_file(path: Path, tmp_path: Path):
    np.savez(path, x=X, y=Y)
    other = tmp_path / "test.npz"
    np.savez(other, x=X[:2], y=Y[2:])
    source = load(path, test_path=str(other))
    assert source.test is not None
    assert source.test.y.tolist() == [2, 1]
    for arrays, message in (
        ({"x": X[:2], "y": np.array([0, 3])}, "test part: 1 label out of range, the first 3 at index 1"),
        ({"x": X[:2, :2], "y": Y[:2]}, "they must agree"),
        ({"x": X[:2], "y": np.zeros(2)}, "test.npz: array 'y': read as float64, in .* as int32"),
    ):
        np.savez(other, **arrays)
        with pytest.raises(DataError, match=message):
            load(path, test_path=str(other))


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": X}, "array 'y': is not in the archive, which holds x; write data.y: NAME"),
        ({"x": X, "y": Y[:3]}, "4 inputs but 3 targets"),
        ({"x": X, "y": np.array([0, 1, 3, 1])}, "array 'y': no example has label 2, though 3 occurs"),
        ({"x": X, "y": np.array([-1, 0, 1, 1])}, "array 'y': labels from -1 to 1; labels are 0, 1, 2"),
        ({"x": X, "y": np.array([0, 2**40, 1, 1])}, "labels from 0 to 1099511627776"),
        ({"x": X, "y": np.array([1, np.nan, 0, 0])}, r"array 'y': 1 value is NaN.* index \(1,\) \(nan\)"),
        ({"x": np.array([[1.0], [1e39]]), "y": Y[:2]}, r"array 'x': 1 value .* index \(1, 0\) \(1e\+39\)"),
        ({"x": X, "y": np.eye(4, dtype=int)}, r"targets of shape \(4, 4\)"),
        ({"x": X[:0], "y": Y[:0]}, "0 class|0 examples"),
        ({"x": Y, "y": Y}, r"inputs of shape \(4,\)"),
        ({"x": X * 1j, "y": Y}, "array 'x': holds <c16; save integers or floats"),
        ({"x": X, "y": np.array(list("abca"))}, "array 'y': holds <U1"),
        ({"x": X, "y": np.array([(0, 1)] * 4, "i4,i4")}, "array 'y': has the header"),
        ({"x": X, "y": Y.astype("M8[s]")}, r"holds <M8\[s\]"),
    ],
)
def test_arrays_that_cannot_be_trained_on(path: Path, arrays: dict[str, np.ndarray], message: str):
    np.savez(path, **arrays)
    with pytest.raises(DataError, match=message) as caught:
        load(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


class Loud:
    """Unpickling an instance fails the test."""

    def __reduce__(self):
        return (pytest.fail, ("unpickled",))


def test_objects_are_never_loaded(path: Path):
    np.savez(path, x=np.array([Loud(), Loud()]), y=Y[:2])
    with pytest.raises(DataError, match="array 'x': holds Python objects, which are never loaded"):
        load(path)
    pack(path, {"x.npy": pickle.dumps(Loud()), "y.npy": npy(Y)})
    with pytest.raises(DataError, match=r"array 'x': is not in \.npy format"):
        load(path)


def header(shape: str, descr: str = "'|u1'") -> bytes:
    text = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text


@pytest.mark.parametrize(
    ("member", "message"),
    [
        (
            header("(1000000, 1000000)"),
            r"announces \(1000000, 1000000\) of uint8 = 1000000000000 bytes, the archive 0",
        ),
        (header("(4, 6)") + bytes(23), "= 24 bytes, the archive 23"),
        (header("(4, 6)") + bytes(25), "= 24 bytes, the archive 25"),
        (header("(4, -6)") + bytes(24), "has the header"),
        (header("(True, 6)") + bytes(6), "has the header"),
        (header("(__import__('os'), 6)"), "has the header"),
        (header("(" + "9" * 500 + ",)"), "has the header"),
        (header("(4, 6)", "'<f3'") + bytes(72), "holds <f3"),
        (header("(4, 6)", "'<b8'") + bytes(192), "unknown type|holds"),
        (b"\x93NUMPY\x02\x00" + b"\xff" * 4 + bytes(100), "header of 4294967295 bytes"),
        (b"\x93NUMPY\x03\x00" + header("(1,)")[8:] + b"\0", "not in .npy format 1 or 2"),
        (b"\x93NUMPY\x01\x00\x05", "damaged"),
        (b"", "not in .npy format"),
    ],
)
def test_members_that_lie(path: Path, member: bytes, message: str):
    pack(path, {"x.npy": member, "y.npy": npy(Y)})
    with pytest.raises(DataError, match=message):
        load(path)


def test_a_bomb_is_not_decompressed(path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(_npy, "MAX_BYTES", 1_000_000)
    pack(path, {"x.npy": header("(50, 1000000)") + bytes(50_000_000), "y.npy": npy(Y)})
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match=r"array 'x': announces 500000\d\d bytes, at most 1000000"):
            load(path)
        assert tracemalloc.get_traced_memory()[1] < 2_000_000
    finally:
        tracemalloc.stop()


def test_an_array_twice_in_the_archive(path: Path):
    with pytest.warns(UserWarning, match="Duplicate name"), zipfile.ZipFile(path, "w") as archive:
        for _ in range(2):
            archive.writestr("x.npy", npy(X))
    with pytest.raises(DataError, match="array 'x': is in the archive 2 times"):
        load(path)


def test_methods_that_numpy_does_not_write(path: Path):
    pack(path, {"x.npy": npy(X), "y.npy": npy(Y)}, zipfile.ZIP_BZIP2)
    with pytest.raises(DataError, match="compressed by method 12"):
        load(path)


def test_every_truncation_is_noticed(path: Path):
    np.savez_compressed(path, x=X, y=Y)
    whole = path.read_bytes()
    for length in range(0, len(whole), 7):
        path.write_bytes(whole[:length])
        with pytest.raises(DataError, match=r"d\.npz: "):
            load(path)


def test_a_missing_file_is_named(tmp_path: Path):
    with pytest.raises(DataError, match=r"no\.npz: there is no such file; check the path"):
        load(tmp_path / "no.npz")


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_mutations_end_in_a_source_or_a_data_error(path: Path, save):
    save(path, x=X, y=Y)
    whole = path.read_bytes()
    rng = np.random.default_rng(3)
    refused = 0
    for _ in range(500):
        mutated = bytearray(whole)
        for _ in range(rng.integers(1, 4)):
            mutated[rng.integers(len(mutated))] = rng.integers(256)
        path.write_bytes(mutated)
        try:
            source = load(path)
        except DataError as error:
            refused += 1
            assert "\n" not in str(error)
        else:
            np.testing.assert_array_equal(source.train.x, X)  # the archive's checksums notice all else
            np.testing.assert_array_equal(source.train.y, Y)
    assert refused > 100


def test_one_hot_targets_say_what_to_write(tmp_path: Path):
    np.savez(tmp_path / "data.npz", x=np.ones((6, 2), np.float32), y=np.eye(3)[[0, 1, 2, 0, 1, 2]])
    with pytest.raises(DataError, match=r"targets of shape \(6, 3\) are one-hot; .*: y.argmax\(1\)"):
        npz(str(tmp_path / "data.npz"))


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([1.0, 2.0], r"shape \(2,\); needed: a weight for each example, \(3,\)"),
        ([1.0, -2.0, 1.0], "the weight at index 1 is -2; write 0 or more"),
        ([0.0, 0.0, 0.0], "all weights are 0"),
    ],
)
def test_weights_that_are_none(tmp_path: Path, weights: list[float], message: str) -> None:
    np.savez(tmp_path / "w.npz", x=np.eye(3), y=np.array([0, 1, 0]), w=np.array(weights))
    with pytest.raises(DataError, match=message):
        npz(str(tmp_path / "w.npz"), weights="w")


def test_weights_of_examples(tmp_path: Path) -> None:
    np.savez(tmp_path / "w.npz", x=np.eye(3), y=np.array([0, 1, 0]), w=np.array([1, 0, 3]))
    weights = npz(str(tmp_path / "w.npz"), weights="w").table.weights
    assert weights is not None and weights.tolist() == [1.0, 0.0, 3.0]
