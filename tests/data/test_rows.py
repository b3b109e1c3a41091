"""Rows read from where they are: what comes is what NumPy's indexing gives, and errors of the disk are told."""

from __future__ import annotations

import errno
import gc
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nnrun.data import _rows
from nnrun.data._prepare import prepare
from nnrun.data._rows import StoredRows
from nnrun.errors import DataError, MachineError
from nnrun.types import Examples, Source

RNG = np.random.default_rng(0)
X = RNG.integers(0, 256, (300, 5, 3, 1)).astype(np.uint8)
LABELS = (np.arange(300) % 3).astype(np.int32)


def raw(x: np.ndarray, folder: Path) -> np.ndarray:
    """Behind 100 bytes of something else."""
    (folder / "raw").write_bytes(bytes(100) + x.tobytes())
    return np.memmap(folder / "raw", x.dtype, "r", 100, x.shape)


def npy(x: np.ndarray, folder: Path) -> np.ndarray:
    np.save(folder / "x.npy", x)
    return np.load(folder / "x.npy", mmap_mode="r")


def a_view(x: np.ndarray, folder: Path) -> np.ndarray:
    """Part of a larger map, in another shape: views of maps do not say where they begin."""
    longer = np.concatenate([x[:7], x, x[:2]])
    return raw(longer.reshape(len(longer), -1), folder)[7:-2].reshape(x.shape)


def strided(x: np.ndarray, folder: Path) -> np.ndarray:
    return raw(np.repeat(x, 2, axis=0), folder)[::2]


def private(x: np.ndarray, folder: Path) -> np.ndarray:
    """A map whose changes stay in memory."""
    (folder / "private").write_bytes(bytes(x.nbytes))
    array = np.memmap(folder / "private", x.dtype, "c", shape=x.shape)
    array[:] = x
    return array


PLACES = [raw, npy, a_view, strided, private, lambda x, folder: x]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("x", [X, X.astype(np.float32)], ids=["uint8", "float32"])
def test_an_index_gives_what_numpy_gives(
    monkeypatch: pytest.MonkeyPatch, place: Callable, x: np.ndarray, tmp_path: Path
) -> None:
    """Slices, no order, doubles, none at all; in long runs and with gaps; all rows or some of them."""
    array = place(x, tmp_path)
    some = np.flatnonzero(RNG.random(300) < 0.4)
    indices = [
        slice(None),
        slice(3, 40),
        slice(0, 0),
        slice(50, 3, -4),
        RNG.permutation(100),
        some[some < 100],
    ]
    indices += [np.array([7, 7, 2, 99, 7]), np.array([], np.int64), np.arange(20, 60), np.array([-1, 0])]
    for gap, piece in [(0, 1), (60, 100), (16 << 10, 1 << 20)]:
        monkeypatch.setattr(_rows, "_GAP", gap)
        monkeypatch.setattr(_rows, "_PIECE", piece)
        for stored, wanted in [(StoredRows(array), x), (StoredRows(array, some), x[some])]:
            assert (stored.shape, stored.dtype, len(stored)) == (wanted.shape, wanted.dtype, len(wanted))
            assert (stored.ndim, stored.nbytes) == (wanted.ndim, wanted.nbytes)
            for index in indices:
                found = stored[index]
                assert type(found) is np.ndarray
                np.testing.assert_array_equal(found, wanted[index], strict=True)


@settings(max_examples=100, deadline=None)
@given(st.sets(st.integers(0, 299)), st.integers(0, 200), st.integers(1, 400))
def test_any_rows_by_any_reads(
    tmp_path_factory: pytest.TempPathFactory, chosen: set[int], gap: int, piece: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_rows, "_GAP", gap)
        patch.setattr(_rows, "_PIECE", piece)
        numbers = np.array(sorted(chosen), np.int64)
        stored = StoredRows(raw(X, tmp_path_factory.mktemp("rows")))
        np.testing.assert_array_equal(stored[numbers], X[numbers], strict=True)


def test_a_file_is_read_forwards_and_in_small_pieces(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """15 bytes a row: gaps of up to 4 rows are read along, pieces have at most 20."""
    monkeypatch.setattr(_rows, "_GAP", 60)
    monkeypatch.setattr(_rows, "_PIECE", 300)
    reads: list[tuple[int, int]] = []

    def preadv(descriptor: int, buffers: list, at: int) -> int:
        reads.append((at, sum(map(len, buffers))))
        return actual(descriptor, buffers, at)

    actual = os.preadv
    monkeypatch.setattr(os, "preadv", preadv)
    StoredRows(raw(X, tmp_path))[np.array([120, 4, 8, 13, 16, 17, 18, 23])]
    assert reads == [(100 + 15 * a, 15 * n) for a, n in [(4, 5), (13, 6), (23, 1), (120, 1)]]
    reads.clear()
    StoredRows(raw(X, tmp_path))[:]
    assert reads == [(100 + 15 * a, 300) for a in range(0, 300, 20)]


def test_a_row_that_is_not_there_is_refused(tmp_path: Path) -> None:
    for stored in (StoredRows(raw(X, tmp_path)), StoredRows(X), StoredRows(X, np.arange(300))):
        with pytest.raises(IndexError):
            stored[np.array([300])]


def test_short_reads_go_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    actual = os.preadv
    monkeypatch.setattr(os, "preadv", lambda d, buffers, at: actual(d, [buffers[0][:7]], at))
    np.testing.assert_array_equal(StoredRows(raw(X, tmp_path))[:], X)


def test_a_file_that_was_cut_short_is_told(tmp_path: Path) -> None:
    """Through the map, this would be the end of the process."""
    stored = StoredRows(raw(X, tmp_path))
    os.truncate(tmp_path / "raw", 1000)
    np.testing.assert_array_equal(stored[:50], X[:50])
    with pytest.raises(MachineError, match=r"raw: ends at byte 1000, it was longer before.*; make it anew"):
        stored[50:80]


def test_an_error_of_the_disk_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def broken(*_: object) -> int:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    stored = StoredRows(raw(X, tmp_path))
    monkeypatch.setattr(os, "preadv", broken)
    with pytest.raises(MachineError, match=r"raw: cannot be read: Input/output error$"):
        stored[:1]


def test_a_file_that_is_gone_is_told(tmp_path: Path) -> None:
    array = raw(X, tmp_path)
    (tmp_path / "raw").unlink()
    with pytest.raises(MachineError, match="raw: cannot be read: No such file"):
        StoredRows(array)


def test_files_are_closed(tmp_path: Path) -> None:
    def opened() -> int:
        return sum(os.path.realpath(file).endswith("raw") for file in folder.iterdir())

    folder = Path("/proc/self/fd")
    if not folder.is_dir():
        pytest.skip("the system does not list open files")
    array = raw(X, tmp_path)
    before = opened()
    stored = StoredRows(array)
    assert opened() == before + 1
    del stored
    gc.collect()
    assert opened() == before


@pytest.mark.parametrize("standardize", ["feature", "image", "none"])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("own", [False, True])
def test_parts_that_stay_on_disk_are_the_parts_in_memory(
    standardize: str, dtype: type, own: bool, tmp_path: Path
) -> None:
    """Rows, statistics and digest, bit for bit; whether they stay depends on the room that they need."""
    x = X.astype(dtype)
    test = Examples(x[:9], LABELS[:9]) if own else None
    source = Source(Examples(x, LABELS), test, ("a", "b", "c"), standardize)
    mapped = source._replace(train=Examples(npy(x, tmp_path), LABELS))
    options = {"validation": 0.1, "test": 0.2, "split_seed": 1}
    wanted = prepare(source, **options)
    needed = x.nbytes + (test.x.nbytes if test else 0)
    for given_source in (source, mapped):
        for room, streamed in [(0, True), (needed - 1, True), (needed, False)]:
            found = prepare(given_source, room=room, **options)
            for name in ("train", "val", "test"):
                part, whole = getattr(found, name), getattr(wanted, name)
                assert isinstance(part.x, StoredRows) == streamed
                assert type(part.x[:]) is np.ndarray
                np.testing.assert_array_equal(part.x[:], whole.x, strict=True)
                np.testing.assert_array_equal(part.y, whole.y, strict=True)
            assert found.shift.tobytes() == wanted.shift.tobytes()
            assert found.scale.tobytes() == wanted.scale.tobytes()
            assert found.fitted.digest == wanted.fitted.digest
    needed = (30 + len(wanted.val.y) + len(wanted.test.y)) * x[0].nbytes
    for room, streamed in [(needed - 1, True), (needed, False)]:
        few = prepare(mapped, examples=30, room=room, **options)
        assert isinstance(few.train.x, StoredRows) == streamed


def test_a_bad_value_is_found_wherever_it_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("nnrun.data._check._CHUNK", 40)
    x = X.astype(np.float32)
    x[[177, 241], 3, 2, 0] = np.nan, np.inf
    source = Source(Examples(npy(x, tmp_path), LABELS), None, ("a", "b", "c"), "none")
    with pytest.raises(DataError, match=r"2 values are NaN or infinite, the first at index \(177, 3, 2, 0\)"):
        prepare(source, validation=0.1, test=0.1, split_seed=0)
