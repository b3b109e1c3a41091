"""Bad data through the command line: exit code 3, one line that names the file, and nothing on disk."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

SPEC = """
data: {DATA}
model: {name: linear}
optimizer: {name: sgd, learning_rate: 0.1}
train: {duration: 1 epoch}
"""
MNIST = [
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
]


@pytest.fixture
def refused(warm: Callable[..., Any], tmp_path: Path) -> Callable[..., str]:
    """refused(data): the one line that `nnrun train` says about a data block."""

    def train(data: str, **settings: str) -> str:
        (tmp_path / "spec.yaml").write_text(SPEC.replace("DATA", data))
        before = sorted(tmp_path.rglob("*"))
        done = warm(
            "train", "spec.yaml", "--run-dir", "run", folder=tmp_path, **{"NNRUN_DATA_DIR": "", **settings}
        )
        assert sorted(tmp_path.rglob("*")) == before, "something was left behind"
        assert (done.code, done.out) == (3, ""), done.err
        assert done.err.startswith("nnrun: ")
        assert done.err.count("\n") == 1
        return done.err

    return train


TABLES = {
    "ragged row": ("a,b,t\n1,2,0\n3,4,1\n5,6\n", ["table.csv:4:", "2 cells", "header 3"]),
    "a word among numbers": ("a,b,t\n1,2,0\n3,x,1\n5,6,0\n", ["table.csv:3:2", "'x'"]),
    "an empty cell": ("a,b,t\n1,2,0\n3,,1\n5,6,0\n", ["table.csv:3:2"]),
    "no such column": ("a,b,y\n1,2,0\n3,4,1\n", ["table.csv", "'t'"]),
    "no rows": ("a,b,t\n", ["table.csv"]),
    "empty": ("", ["table.csv"]),
    "one class": ("a,b,t\n1,2,0\n3,4,0\n5,6,0\n", ["table.csv", "at least two"]),
}


@pytest.mark.parametrize("case", TABLES)
def test_a_table(case: str, refused: Callable[..., str], tmp_path: Path) -> None:
    text, expected = TABLES[case]
    (tmp_path / "table.csv").write_text(text)
    message = refused("name: csv, path: table.csv, target: t")
    for part in expected:
        assert part in message


@pytest.mark.parametrize("kind", ["csv", "npz"])
def test_a_missing_file(kind: str, refused: Callable[..., str], tmp_path: Path) -> None:
    target = ", target: t" if kind == "csv" else ""
    message = refused(f"name: {kind}, path: absent.{kind}{target}")
    assert str(tmp_path / f"absent.{kind}") in message
    assert "no such file" in message


ARCHIVES: dict[str, tuple[dict[str, Any], list[str]]] = {
    "objects": ({"x": np.array([{}, {}], object), "y": np.array([0, 1])}, ["'x'", "never loaded"]),
    "NaN": ({"x": np.array([[1.0], [np.nan]]), "y": np.array([0, 1])}, ["'x'", "(1, 0)"]),
    "negative label": ({"x": np.ones((2, 1)), "y": np.array([-1, 1])}, ["'y'", "-1"]),
    "a label left out": ({"x": np.ones((2, 1)), "y": np.array([0, 2])}, ["'y'", "label 1"]),
    "counts differ": ({"x": np.ones((3, 1)), "y": np.array([0, 1])}, ["3 inputs but 2 targets"]),
    "no targets": ({"x": np.ones((3, 1))}, ["'y'"]),
}


@pytest.mark.parametrize("case", ARCHIVES)
def test_an_archive(case: str, refused: Callable[..., str], tmp_path: Path) -> None:
    arrays, expected = ARCHIVES[case]
    np.savez(tmp_path / "data.npz", **arrays)
    message = refused("name: npz, path: data.npz")
    for part in ["data.npz", *expected]:
        assert part in message


def idx(axes: int, *shape: int, content: bytes) -> bytes:
    return bytes([0, 0, 8, axes]) + b"".join(n.to_bytes(4, "big") for n in shape) + content


IMAGES = idx(3, 4, 28, 28, content=bytes(4 * 28 * 28))
FILES = {
    "truncated": (IMAGES[:-100], ["truncated", "3136"]),
    "truncated in its header": (IMAGES[:10], ["truncated"]),
    "oversized": (IMAGES + b"x", ["oversized"]),
    "wrong magic": (b"\0\0\x09\3" + IMAGES[4:], ["not an IDX file", "00 00 09 03", "00 00 08 03"]),
    "truncated gzip": (gzip.compress(IMAGES)[:-9], ["truncated"]),
    "another set": (IMAGES, ["not the published file", "npz"]),
    "huge by its header": (idx(3, 60000, 65535, 65535, content=b""), ["at most"]),
    "empty": (b"", ["not an IDX file"]),
}


@pytest.mark.parametrize("case", FILES)
def test_an_image_file(case: str, refused: Callable[..., str], tmp_path: Path) -> None:
    content, expected = FILES[case]
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / MNIST[0]).write_bytes(content)
    message = refused("name: mnist, root: files")
    for part in [f"files/{MNIST[0]}: ", *expected]:
        assert part in message


def test_a_missing_image_file_says_what_to_put_where(refused: Callable[..., str], tmp_path: Path) -> None:
    (tmp_path / "files").mkdir()
    message = refused("name: mnist, root: files")
    assert f"{tmp_path}/files: " in message
    assert f"{MNIST[0]}.gz" in message
    assert "put the file there" in message


def test_no_network_says_what_to_put_where(
    refused: Callable[..., str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    cache = tmp_path_factory.mktemp("cache")
    nowhere = dict.fromkeys(("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"), "http://127.0.0.1:9")
    message = refused("name: mnist", XDG_CACHE_HOME=str(cache), no_proxy="", NO_PROXY="", **nowhere)
    assert f"{MNIST[0]}.gz: cannot be downloaded" in message
    assert f"put the file into {cache}/nnrun/mnist or into $NNRUN_DATA_DIR/mnist" in message
