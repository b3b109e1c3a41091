"""The strict IDX reader."""

from __future__ import annotations

import gzip
import hashlib
import os
import struct
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from nnrun.data._idx import read_idx
from nnrun.errors import DataError

IMAGES = np.arange(24, dtype=np.uint8).reshape(4, 3, 2)
Encode = Callable[[np.ndarray], bytes]


@pytest.fixture
def good(idx_bytes: Encode) -> bytes:
    return idx_bytes(IMAGES)


def read(tmp_path: Path, content: bytes, axes: int = 3) -> np.ndarray:
    path = tmp_path / "file"
    path.write_bytes(content)
    return read_idx(path, axes).array


def test_plain_and_gzip_are_told_apart_by_content_and_hash_alike(tmp_path: Path, good: bytes):
    for name, content in (("a.gz", good), ("b", gzip.compress(good, 1)), ("c", gzip.compress(good, 9))):
        (tmp_path / name).write_bytes(content)
        idx = read_idx(tmp_path / name, 3)
        np.testing.assert_array_equal(idx.array, IMAGES)
        assert idx.sha256 == hashlib.sha256(good).hexdigest()


def test_no_examples_is_an_empty_array(tmp_path: Path, idx_bytes: Encode):
    assert read(tmp_path, idx_bytes(np.empty((0, 3, 2), np.uint8))).shape == (0, 3, 2)


def test_labels_have_one_axis(tmp_path: Path, idx_bytes: Encode, good: bytes):
    labels = np.array([3, 1, 2], np.uint8)
    np.testing.assert_array_equal(read(tmp_path, idx_bytes(labels), axes=1), labels)
    with pytest.raises(DataError, match="starts with 00 00 08 03, not 00 00 08 01"):
        read(tmp_path, good, axes=1)


@pytest.mark.parametrize("wrap", [bytes, gzip.compress], ids=["plain", "gzip"])
@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda b: b[:-1], "truncated: the header announces 4x3x2 = 24 bytes"),
        (lambda b: b[:16], "truncated: the header announces 4x3x2 = 24 bytes"),
        (lambda b: b[:15], "truncated: ends inside its header of 16 bytes"),
        (lambda b: b + b"\0", "oversized: the header announces 4x3x2 = 24 bytes, the file holds more"),
        (lambda b: b"\0\0\x0d\x03" + b[4:], "starts with 00 00 0d 03, not 00 00 08 03"),
        (lambda b: b"", "starts with nothing"),
        (lambda b: b[:4] + struct.pack(">3I", *[2**32 - 1] * 3) + b[16:], "this is not an image set"),
    ],
)
def test_what_is_not_exactly_as_announced_is_refused(tmp_path: Path, good: bytes, wrap, damage, message):
    with pytest.raises(DataError, match=message) as caught:
        read(tmp_path, wrap(damage(good)))
    assert str(caught.value).startswith(str(tmp_path / "file"))


@pytest.mark.parametrize("cut", [3, 12, 30, -9, -1])
def test_a_truncated_gzip_file_is_refused(tmp_path: Path, good: bytes, cut: int):
    with pytest.raises(DataError, match=r"truncated|gzip"):
        read(tmp_path, gzip.compress(good)[:cut])


def test_garbage_after_the_gzip_stream_is_refused(tmp_path: Path, good: bytes):
    with pytest.raises(DataError, match="gzip"):
        read(tmp_path, gzip.compress(good) + b"more")


def peak_of_refusal(tmp_path: Path, content: bytes, message: str) -> int:
    """Bytes allocated at most while the file is refused."""
    path = tmp_path / "bomb"
    path.write_bytes(content)
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match=message):
            read_idx(path, 3)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_a_bomb_is_not_decompressed(tmp_path: Path, good: bytes):
    bomb = gzip.compress(good + bytes(50_000_000), 1)
    assert peak_of_refusal(tmp_path, bomb, "oversized") < 5_000_000


@pytest.mark.parametrize("wrap", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_a_lying_header_allocates_nothing(tmp_path: Path, wrap):
    header = b"\0\0\x08\x03" + struct.pack(">3I", 1000, 1000, 1000)
    assert peak_of_refusal(tmp_path, wrap(header + bytes(100)), "the file cannot hold them") < 5_000_000


def test_what_is_not_a_file_is_refused_with_the_remedy(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "file").write_bytes(b"")
    for path, message in (
        (tmp_path / "none", "there is no such file; check the path"),
        (tmp_path, "is not a regular file"),
        (tmp_path / "pipe", "is not a regular file"),
        (tmp_path / "file" / "below", "is a file, not a folder"),
        (Path("a\0b"), "cannot hold a NUL"),
    ):
        with pytest.raises(DataError, match=message):
            read_idx(path, 3)


def test_a_flipped_byte_never_leaves_anything_but_a_data_error(tmp_path: Path, good: bytes):
    rng = np.random.default_rng(1)
    for content in (good, gzip.compress(good)):
        for _ in range(300):
            mutated = bytearray(content)
            for _ in range(rng.integers(1, 4)):
                mutated[rng.integers(len(mutated))] = rng.integers(256)
            try:
                assert read(tmp_path, bytes(mutated)).size == 24 or mutated[4:16] != content[4:16]
            except DataError as error:
                assert "\n" not in str(error)
