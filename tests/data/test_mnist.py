"""MNIST and its kind: real content, and files that are not what they should be."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from nnrun.data import _mnist
from nnrun.data._mnist import FILES, PublishedMnist, load
from nnrun.data.fashion_mnist import fashion_mnist
from nnrun.data.mnist import mnist
from nnrun.errors import DataError

WriteSet = Callable[..., Path]


@pytest.fixture(autouse=True)
def no_download(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    def refuse(wanted: object) -> Path:
        raise AssertionError(f"would download {wanted}")

    monkeypatch.delenv("NNRUN_DATA_DIR", raising=False)
    monkeypatch.setattr(_mnist, "download", refuse)
    yield


@pytest.fixture
def published(small_set: dict[str, bytes]) -> PublishedMnist:
    pins = [hashlib.sha256(small_set[name]).hexdigest() for name in FILES]
    return PublishedMnist("small", (), (pins[0], pins[1], pins[2], pins[3]), ("",) * 4, tuple("0123456789"))


def test_the_real_files(mnist_folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("NNRUN_DATA_DIR", str(mnist_folder.parent))
    source = mnist()
    train, test = source.train, source.test
    assert test is not None
    assert train.x.shape == (60000, 28, 28, 1)
    assert test.x.shape == (10000, 28, 28, 1)
    assert np.bincount(train.y).tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert np.bincount(test.y).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert train.y[:5].tolist() == [5, 0, 4, 1, 9]
    header = b"\0\0\x08\x03\0\0\xea\x60\0\0\0\x1c\0\0\0\x1c"
    assert hashlib.md5(header + train.x.tobytes()).hexdigest() == "6bbc9ace898e44ae57da46a324031adb"
    assert source.standardize == "image"


def test_one_set_is_not_taken_for_the_other(mnist_folder: Path):
    with pytest.raises(DataError, match="is not the published file of fashion_mnist"):
        fashion_mnist(root=str(mnist_folder))


@pytest.mark.parametrize("level", [None, 1, 9])
def test_plain_and_recompressed_files_are_accepted(published, small_set, write_set: WriteSet, level):
    source = load(published, str(write_set(small_set, level=level)), "image")
    assert source.test is not None
    assert source.train.x.shape == (40, 3, 2, 1)
    assert source.train.x.tobytes() == small_set[FILES[0]][16:]
    assert (
        source.test.y.tobytes() == np.frombuffer(small_set[FILES[3]][8:], np.uint8).astype(np.int32).tobytes()
    )


@pytest.mark.parametrize("folder", ["top/small", "top"])
def test_the_environment_names_the_folder_or_the_one_above(
    published, small_set, write_set: WriteSet, monkeypatch, tmp_path: Path, folder: str
):
    write_set(small_set, folder)
    monkeypatch.setenv("NNRUN_DATA_DIR", str(tmp_path / "top"))
    assert len(load(published, None, "none").train.y) == 40


def test_root_goes_before_the_environment(
    published, small_set, write_set: WriteSet, monkeypatch, tmp_path: Path
):
    root = write_set(small_set)
    monkeypatch.setenv("NNRUN_DATA_DIR", str(tmp_path / "absent"))
    assert len(load(published, str(root), "none").train.y) == 40


def test_a_file_missing_under_root_is_named_with_the_remedy(published, small_set, write_set: WriteSet):
    del small_set[FILES[2]]
    root = write_set(small_set)
    with pytest.raises(DataError, match=f"{root}: holds neither {FILES[2]} nor .*; put the file there"):
        load(published, str(root), "image")


def test_a_file_missing_in_the_environment_is_downloaded(
    published, small_set, write_set: WriteSet, monkeypatch, tmp_path: Path
):
    folder = write_set(small_set)
    moved = shutil.move(folder / f"{FILES[1]}.gz", tmp_path / "elsewhere")
    wanted = []
    monkeypatch.setattr(_mnist, "download", lambda file: wanted.append(file) or Path(moved))
    monkeypatch.setenv("NNRUN_DATA_DIR", str(folder))
    assert len(load(published, None, "image").train.y) == 40
    assert [file.file for file in wanted] == [f"{FILES[1]}.gz"]


@pytest.mark.parametrize("file", FILES)
def test_a_flipped_bit_is_noticed_and_both_digests_named(
    published, small_set, write_set: WriteSet, file: str
):
    small_set[file] = small_set[file][:-1] + bytes([small_set[file][-1] ^ 1])
    found = hashlib.sha256(small_set[file]).hexdigest()
    pin = published.sha256[FILES.index(file)]
    with pytest.raises(DataError, match=f"{file}.gz: is not the published file of small: .*{found}.*{pin}"):
        load(published, str(write_set(small_set)), "image")


def repinned(published: PublishedMnist, content: dict[str, bytes]) -> PublishedMnist:
    """As if the published files had been like this."""
    pins = [hashlib.sha256(content[name]).hexdigest() for name in FILES]
    return published._replace(sha256=(pins[0], pins[1], pins[2], pins[3]))


def test_as_many_labels_as_images(published, small_set, write_set: WriteSet):
    small_set[FILES[1]] = b"\0\0\x08\x01\0\0\0\x27" + small_set[FILES[1]][8:-1]
    with pytest.raises(DataError, match="training part: 40 inputs but 39 targets"):
        load(repinned(published, small_set), str(write_set(small_set)), "image")


def test_labels_within_the_classes(published, small_set, write_set: WriteSet):
    small_set[FILES[3]] = small_set[FILES[3]][:-1] + b"\x0a"
    with pytest.raises(DataError, match="test part: 1 label out of range, the first 10 at index 19"):
        load(repinned(published, small_set), str(write_set(small_set)), "image")


@pytest.mark.parametrize("cut", [slice(-1), slice(10)])
def test_a_truncated_file_is_named(published, small_set, write_set: WriteSet, cut: slice):
    small_set[FILES[0]] = small_set[FILES[0]][cut]
    with pytest.raises(DataError, match=f"{FILES[0]}.gz: truncated"):
        load(published, str(write_set(small_set)), "image")
