"""Bad images and archives through the command line: exit code 3, one line that names the file, nothing on disk."""

from __future__ import annotations

import gzip
import io
import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

SPEC = """
data: {DATA}
model: {name: linear}
optimizer: {name: sgd, learning_rate: 0.1}
train: {duration: 1 epoch}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A spec with ten images of each of two classes beside it."""
    for kind in ("cat", "dog"):
        (tmp_path / "images" / kind).mkdir(parents=True)
        for number in range(10):
            save(tmp_path / "images" / kind / f"{number}.png", np.full((4, 4, 3), 20 * number, np.uint8))
    return tmp_path


def save(path: Path, pixels: np.ndarray) -> None:
    Image.fromarray(pixels).save(path)


def encoded(image: Image.Image, kind: str) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind)
    return stream.getvalue()


@pytest.fixture
def train(
    warm: Callable[..., Any], folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., Any]:
    """train(data): what `nnrun train` does with a data block; images are cached where nobody else looks."""
    cache = tmp_path_factory.mktemp("cache")

    def run(data: str, *arguments: str, **settings: str) -> Any:
        (folder / "spec.yaml").write_text(SPEC.replace("DATA", data))
        settings = {"NNRUN_DATA_DIR": "", "XDG_CACHE_HOME": str(cache), **settings}
        return warm("train", "spec.yaml", "--run-dir", "run", *arguments, folder=folder, **settings)

    return run


@pytest.fixture
def refused(train: Callable[..., Any], folder: Path) -> Callable[..., str]:
    """refused(data): the one line that `nnrun train` says about a data block."""

    def run(data: str, code: int = 3, **settings: str) -> str:
        before = sorted(folder.rglob("*"))
        done = train(data, **settings)
        assert sorted({*folder.rglob("*")} - {folder / "spec.yaml"} - {*before}) == [], "left behind"
        assert (done.code, done.out) == (code, ""), done.err
        assert done.err.startswith("nnrun: ")
        assert done.err.count("\n") == 1
        return done.err

    return run


def bomb() -> bytes:
    """A PNG of 50,000 x 50,000 pixels in 60 bytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 50_000, 50_000, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")


NOISE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (32, 32, 3)).astype(np.uint8))
JPEG = encoded(NOISE, "JPEG")
IMAGES = {
    "truncated": (JPEG[: len(JPEG) // 2], ["damaged or truncated JPEG"]),
    "truncated PNG": (encoded(NOISE, "PNG")[:1000], ["damaged or truncated PNG"]),
    "bomb": (bomb(), ["more than 67108864 pixels"]),
    "CMYK": (encoded(NOISE.convert("CMYK"), "JPEG"), ["CMYK", "save it in RGB"]),
    "16 bits": (encoded(Image.fromarray(np.zeros((4, 4), np.uint16)), "PNG"), ["16 bits"]),
    "transparent": (encoded(NOISE.convert("RGBA").point(lambda v: v // 2), "PNG"), ["transparent pixels"]),
    "text": (b"hello, I am not an image\n", ["not a JPEG or PNG image"]),
    "empty": (b"", ["is empty"]),
    "another size": (JPEG, ["32 wide", "4 wide", "data.size: [4, 4]"]),
}


@pytest.mark.parametrize("case", IMAGES)
def test_an_image(case: str, refused: Callable[..., str], folder: Path) -> None:
    content, expected = IMAGES[case]
    (folder / "images" / "dog" / "7.jpg").write_bytes(content)
    message = refused("name: image_folder, path: images")
    for part in [f"{folder}/images/dog/7.jpg: ", *expected]:
        assert part in message


TREES: dict[str, tuple[Callable[[Path], Any], list[str]]] = {
    "an empty class": (lambda top: (top / "cow").mkdir(), ["images/cow: ", "no images"]),
    "a link out": (
        lambda top: (top / "dog/x").symlink_to("/etc/hostname"),
        ["images/dog/x: ", "leads out of"],
    ),
    "a linked class": (lambda top: (top / "cow").symlink_to("/usr"), ["images/cow: ", "leads out of"]),
    "a circle": (lambda top: (top / "dog/x").symlink_to(".."), ["images/dog/x: ", "leads out of"]),
    "one class": (lambda top: (top / "cat").rename(top / ".cat"), ["images: ", "one class only, dog"]),
    "no classes": (
        lambda top: [(top / kind).rename(top / f".{kind}") for kind in ("cat", "dog")],
        ["images: ", "holds no folders"],
    ),
    "no folder": (lambda top: top.rename(top.with_name("pictures")), ["images: ", "no such folder"]),
    "a pipe": (lambda top: os.mkfifo(top / "dog/pipe"), ["dog/pipe: ", "not a regular file"]),
}


@pytest.mark.parametrize("case", TREES)
def test_a_tree(case: str, refused: Callable[..., str], folder: Path) -> None:
    harm, expected = TREES[case]
    harm(folder / "images")
    message = refused("name: image_folder, path: images")
    for part in expected:
        assert part in message


def test_no_folder_named(refused: Callable[..., str]) -> None:
    assert "data.path" in refused("name: image_folder")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_an_image_that_may_not_be_read_is_the_machines_fault(
    refused: Callable[..., str], folder: Path
) -> None:
    (folder / "images/dog/7.png").chmod(0)
    assert "images/dog/7.png: cannot be read" in refused("name: image_folder, path: images", code=6)


def test_a_cache_that_cannot_be_written_is_the_machines_fault(
    refused: Callable[..., str], folder: Path
) -> None:
    message = refused("name: image_folder, path: images", code=6, XDG_CACHE_HOME="/proc/nowhere")
    assert "cache of decoded images cannot be written" in message
    assert "XDG_CACHE_HOME" in message


@pytest.mark.parametrize("value", ["[32]", "[32, 32, 3]", "[0, 32]", "32"])
def test_a_size_that_is_none(value: str, refused: Callable[..., str]) -> None:
    assert "data.size" in refused(f"name: image_folder, path: images, size: {value}", code=2)


ARCHIVES = {
    "text": (b"not an archive", ["not a tar archive"]),
    "truncated": (gzip.compress(bytes(range(256)) * 100)[:300], ["truncated"]),
    "a bomb": (gzip.compress(b"x" * 1000 + bytes(1 << 20)), ["not a tar archive"]),
    "empty": (b"", ["not a tar archive"]),
}


@pytest.mark.parametrize("case", ARCHIVES)
@pytest.mark.parametrize("name", ["cifar10", "cifar100"])
def test_an_archive(case: str, name: str, refused: Callable[..., str], folder: Path) -> None:
    content, expected = ARCHIVES[case]
    file = name.replace("cifar", "cifar-") + "-binary.tar.gz"
    (folder / file).write_bytes(content)
    message = refused(f"name: {name}, root: .")
    for part in [f"{folder}/{file}: ", *expected]:
        assert part in message


def test_unpacked_files_of_another_size(refused: Callable[..., str], folder: Path) -> None:
    for name in ("train.bin", "test.bin"):
        (folder / name).write_bytes(bytes(3074))
    assert f"{folder}/train.bin: has 3074 bytes" in refused("name: cifar100, root: .")


def test_more_examples_than_there_are(refused: Callable[..., str]) -> None:
    message = refused("name: image_folder, path: images, validation: 0.1, test: 0.2, examples: 15")
    assert "data.examples: 15 are wanted, the training part holds 14; write at most 14" in message


def test_good_images_train_on_as_many_as_asked_for(train: Callable[..., Any]) -> None:
    done = train("name: image_folder, path: images, batch_size: 4, examples: 8, validation: 0.2", "--json")
    assert done.code == 0, done.err
    assert done.json["steps"] == 2  # 20 images are split into 12, 4 and 4; one epoch of 8 in batches of 4
