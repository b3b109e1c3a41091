"""CIFAR-10 and CIFAR-100 from their binary files: layout, places, pins, and archives that are not theirs."""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from nnrun.data import _cifar, _tar, cifar10, cifar100
from nnrun.data._cifar import PublishedCifar, Records, load
from nnrun.data._tar import read_tar
from nnrun.errors import DataError
from nnrun.types import Source

FOLDER = "cifar-small-bin"


class Small(NamedTuple):
    """A set in the format of CIFAR-100: two files of 3 and 2 records for training, one of 2 for testing."""

    images: np.ndarray  # (7, 32, 32, 3)
    labels: np.ndarray  # (7, 2) coarse, fine
    files: dict[str, bytes]
    published: PublishedCifar

    def load(self, root: Path | str | None, label: int = 1) -> Source:
        return load(self.published, None if root is None else str(root), label, tuple("abcd"), "image")


def make_small() -> Small:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (7, 32, 32, 3)).astype(np.uint8)
    labels = np.array([[0, 0], [1, 3], [0, 1], [1, 2], [0, 0], [1, 3], [0, 1]], np.uint8)
    # a record by the published description: labels, then the planes red, green, blue, each row by row
    records = [
        bytes(label) + b"".join(image[..., colour].tobytes() for colour in range(3))
        for label, image in zip(labels, images, strict=True)
    ]
    files = {
        name: b"".join(records[first:last])
        for name, first, last in (("one.bin", 0, 3), ("two.bin", 3, 5), ("test.bin", 5, 7))
    }
    return Small(images, labels, files, published(files))


def published(files: dict[str, bytes]) -> PublishedCifar:
    """As if these had been published."""
    one, two, test = (
        Records(name, max(1, len(data) // 3074), hashlib.sha256(data).hexdigest())
        for name, data in files.items()
    )
    return PublishedCifar("small", "small.tar.gz", "0" * 64, FOLDER, 2, (one, two), (test,))


def member(name: str, data: bytes = b"", **fields: object) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(f"{FOLDER}/{name}")
    info.size = len(data)
    for field, value in fields.items():
        setattr(info, field, value)
    return info, data


def tar(*members: tuple[tarfile.TarInfo, bytes], kind: str = "gz") -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode=f"w:{kind}") as archive:
        for info, data in members:
            archive.addfile(info, io.BytesIO(data))
    return stream.getvalue()


def archive(small: Small, kind: str = "gz") -> bytes:
    """With what lies beside the records in the published ones: the folder itself and a readme."""
    folder = tarfile.TarInfo(FOLDER)
    folder.type = tarfile.DIRTYPE
    extra = [(folder, b""), member("readme.html", b"<html>")]
    return tar(*extra, *(member(name, data) for name, data in small.files.items()), kind=kind)


@pytest.fixture(scope="module")
def small() -> Small:
    return make_small()


@pytest.fixture(autouse=True)
def no_download(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(wanted: object) -> Path:
        raise AssertionError(f"would download {wanted}")

    monkeypatch.delenv("NNRUN_DATA_DIR", raising=False)
    monkeypatch.setattr(_cifar, "download", refuse)


@pytest.fixture
def place(small: Small, tmp_path: Path) -> Callable[[str], Path]:
    """place(folder): puts the unpacked files there."""

    def write(folder: str) -> Path:
        (tmp_path / folder).mkdir(parents=True)
        for name, data in small.files.items():
            (tmp_path / folder / name).write_bytes(data)
        return tmp_path

    return write


def check_content(source: Source, small: Small, label: int) -> None:
    assert source.test is not None
    np.testing.assert_array_equal(source.train.x, small.images[:5])
    np.testing.assert_array_equal(source.test.x, small.images[5:])
    np.testing.assert_array_equal(source.train.y, small.labels[:5, label])
    np.testing.assert_array_equal(source.test.y, small.labels[5:, label])


@pytest.mark.parametrize("kind", ["gz", ""])
@pytest.mark.parametrize("label", [0, 1])
def test_an_archive(kind: str, label: int, small: Small, tmp_path: Path):
    (tmp_path / "small.tar.gz").write_bytes(archive(small, kind))
    check_content(small.load(tmp_path, label), small, label)


@pytest.mark.parametrize("folder", ["top", "top/small", f"top/{FOLDER}", f"top/small/{FOLDER}"])
@pytest.mark.parametrize("packed", [True, False])
def test_the_places(folder: str, packed: bool, small: Small, place, tmp_path: Path, monkeypatch):
    if packed:
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "small.tar.gz").write_bytes(archive(small))
    else:
        place(folder)
    check_content(small.load(tmp_path / "top"), small, 1)
    monkeypatch.setenv("NNRUN_DATA_DIR", str(tmp_path / "top"))
    check_content(small.load(None), small, 1)


def test_an_unpacked_tar_without_its_suffix(small: Small, tmp_path: Path):
    (tmp_path / "small.tar").write_bytes(archive(small, ""))
    check_content(small.load(tmp_path), small, 1)


def test_what_is_missing_is_downloaded_or_told(small: Small, tmp_path: Path, monkeypatch):
    wanted = []
    (tmp_path / "elsewhere").write_bytes(archive(small))
    monkeypatch.setattr(_cifar, "download", lambda file: wanted.append(file) or tmp_path / "elsewhere")
    monkeypatch.setenv("NNRUN_DATA_DIR", str(tmp_path))
    check_content(small.load(None), small, 1)
    [file] = wanted
    assert (file.folder, file.file, file.digest) == ("small", "small.tar.gz", "sha256:" + "0" * 64)
    with pytest.raises(
        DataError, match=rf"{tmp_path}: holds neither small.tar.gz nor all .*one.bin to test.bin"
    ):
        small.load(tmp_path)
    with pytest.raises(DataError, match=r"absent: data.root is not a folder"):
        small.load(tmp_path / "absent")


@pytest.mark.parametrize("name", ["one.bin", "two.bin", "test.bin"])
def test_a_flipped_bit_is_noticed_and_both_digests_named(name: str, small: Small, place, tmp_path: Path):
    path = place("set") / "set" / name
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    found = hashlib.sha256(data).hexdigest()
    pin = hashlib.sha256(small.files[name]).hexdigest()
    with pytest.raises(DataError, match=f"set: {name} is not the published one of small: .*{found}.*{pin}"):
        small.load(tmp_path / "set")


@pytest.mark.parametrize(("change", "size"), [(-1, 3 * 3074 - 1), (1, 3 * 3074 + 1)])
def test_a_file_of_another_size(change: int, size: int, small: Small, place, tmp_path: Path):
    path = place("set") / "set/one.bin"
    path.write_bytes((path.read_bytes() + b"x")[: 3 * 3074 + change])
    with pytest.raises(DataError, match=f"set/one.bin: has {size} bytes, not {3 * 3074}"):
        small.load(tmp_path / "set")


def test_a_label_out_of_range(small: Small, tmp_path: Path):
    files = {**small.files, "one.bin": b"\0\4" + small.files["one.bin"][2:]}
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    with pytest.raises(DataError, match="training part: 1 label out of range, the first 4 at index 0"):
        small._replace(published=published(files)).load(tmp_path)


def damaged(small: Small) -> dict[str, tuple[bytes, str]]:
    """Archives, and what must be said of them."""
    one, two, test = (member(name, data) for name, data in small.files.items())
    whole = archive(small)
    return {
        "empty": (b"", "damaged, truncated, or not a tar archive"),
        "a text": (b"not an archive" * 100, "damaged, truncated, or not a tar archive"),
        "a page of HTML in gzip": (
            gzip.compress(b"<html>" * 1000),
            "damaged, truncated, or not a tar archive",
        ),
        "truncated gzip": (whole[: len(whole) // 2], r"damaged, truncated|truncated inside"),
        "truncated tar": (archive(small, "")[:9000], r"damaged, truncated|truncated inside"),
        "a damaged gzip": (whole[:2000] + bytes(50) + whole[2050:], "damaged|is not the published"),
        "a file missing": (tar(one, test), "truncated, or another archive: holds no two.bin"),
        "a link": (
            tar(one, member("two.bin", type=tarfile.SYMTYPE, linkname="/etc/passwd"), test),
            "holds two.bin as something else than a regular file",
        ),
        "a hard link": (
            tar(one, member("two.bin", type=tarfile.LNKTYPE, linkname=f"{FOLDER}/one.bin"), test),
            "holds two.bin as something else than a regular file",
        ),
        "a device": (tar(member("one.bin", type=tarfile.CHRTYPE), two, test), "else than a regular file"),
        "a file twice": (tar(one, one, two, test), "holds one.bin more than once"),
        "a file too long": (
            tar(member("one.bin", small.files["one.bin"] + b"x"), two, test),
            f"one.bin has {3 * 3074 + 1} bytes, not {3 * 3074}",
        ),
        "a file too short": (tar(one, member("two.bin", b"x"), test), f"two.bin has 1 bytes, not {2 * 3074}"),
        "a bomb": (
            gzip.compress(tar(member("big", bytes(20 << 20)), kind=""), 1),
            "holds far more than it should; get the published archive",
        ),
        "too many files": (tar(*[member(f"{i}") for i in range(1100)]), "more than 1000 files"),
    }


DAMAGED = damaged(make_small())


@pytest.mark.parametrize("case", DAMAGED)
def test_a_damaged_archive_is_a_data_error_that_names_it(case: str, small: Small, tmp_path: Path):
    data, message = DAMAGED[case]
    (tmp_path / "small.tar.gz").write_bytes(data)
    with pytest.raises(DataError, match=message) as caught:
        small.load(tmp_path)
    assert str(caught.value).startswith(f"{tmp_path}/small.tar.gz: ")
    assert "\n" not in str(caught.value)


def test_a_bomb_is_given_up_early(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """40 MiB of zeros in a member that is not wanted, of which at most the bound and one block are unpacked."""
    read = []
    original = _tar._Bounded.read

    def count(self: _tar._Bounded, size: int) -> bytes:
        data = original(self, size)
        read.append(len(data))
        return data

    monkeypatch.setattr(_tar._Bounded, "read", count)
    (tmp_path / "bomb").write_bytes(gzip.compress(tar(member("big", bytes(40 << 20)), kind=""), 1))
    with pytest.raises(DataError, match="far more than it should"):
        read_tar(tmp_path / "bomb", {"one.bin": 100})
    assert sum(read) <= (16 << 20) + 100


@pytest.mark.parametrize("kind", ["gz", ""])
def test_mutated_archives_are_the_set_or_data_errors(kind: str, small: Small, tmp_path: Path):
    rng, whole, path, errors = np.random.default_rng(5), archive(small, kind), tmp_path / "small.tar.gz", 0
    headers = [at for at in range(0, len(whole) - 512, 512) if whole[at : at + 5] == b"cifar"] or [0]
    for _ in range(200):
        data = bytearray(whole)
        for _ in range(rng.integers(1, 4)):
            at = int(rng.choice(headers)) + int(rng.integers(512)) if rng.random() < 0.7 else -1
            at = at if 0 <= at < len(data) else int(rng.integers(len(data)))
            how = rng.integers(3)
            if how == 0:
                data[at] = int(rng.choice([0, 32, 48, 55, 57, 103, 120, 255, rng.integers(256)]))
            elif how == 1:
                data[at] ^= 1 << int(rng.integers(8))
            else:
                del data[max(1, at) :]
        path.write_bytes(data)
        try:
            check_content(small.load(tmp_path), small, 1)
        except DataError as error:
            assert str(error).startswith(f"{path}: ")
            assert "\n" not in str(error)
            errors += 1
    assert errors > 100


def test_nested_headers_without_end(small: Small, tmp_path: Path):
    """Headers that only announce a longer name for the next member, until the reader's stack is full."""
    name = tarfile.TarInfo("././@LongLink")
    name.type, name.size = tarfile.GNUTYPE_LONGNAME, 1
    path = tmp_path / "small.tar.gz"
    path.write_bytes((name.tobuf(tarfile.GNU_FORMAT) + bytes(512)) * 3000)
    with pytest.raises(DataError, match="damaged, truncated, or not a tar archive"):
        small.load(tmp_path)


@pytest.mark.parametrize(
    ("module", "labels", "sizes"),
    [(cifar10, 1, [30_730_000] * 6), (cifar100, 2, [153_700_000, 30_740_000])],
)
def test_the_published_files_have_their_published_sizes(module, labels: int, sizes: list[int]):
    """The sizes that `tar tv` prints for the archives."""
    pins: PublishedCifar = module._PUBLISHED
    assert pins.labels == labels
    assert [file.records * pins.record for file in (*pins.train, *pins.test)] == sizes
    digests = [file.sha256 for file in (*pins.train, *pins.test)] + [pins.sha256]
    assert all(len(bytes.fromhex(digest)) == 32 for digest in digests)
    assert len(set(digests)) == len(digests)


def test_the_classes(monkeypatch: pytest.MonkeyPatch):
    given = {}
    for module in (cifar10, cifar100):
        monkeypatch.setattr(module, "load", lambda pins, root, label, classes, how: (label, classes))
    given = {
        "10": cifar10.cifar10(),
        "fine": cifar100.cifar100(),
        "coarse": cifar100.cifar100(labels="coarse"),
    }
    assert {key: (label, len(set(names))) for key, (label, names) in given.items()} == {  # type: ignore[misc]
        "10": (0, 10),
        "fine": (1, 100),
        "coarse": (0, 20),
    }
    assert all(list(names) == sorted(names) for _, names in given.values())  # type: ignore[misc]
