"""Columns of images in folders that Hugging Face's datasets write."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from nnrun.data import _image_batches
from nnrun.data._piece import Extras
from nnrun.data._pieces import input_pieces
from nnrun.data._prepare import prepare
from nnrun.data.hf_folder import hf_folder
from nnrun.data.image_folder import image_folder
from nnrun.errors import DataError, SpecError

pytest.importorskip("pyarrow")

Save = Callable[..., Path]

NAMES = ["owl", "cat"]
FEATURES: dict[str, Any] = {
    "image": {"_type": "Image"},
    "kind": {"names": NAMES, "_type": "ClassLabel"},
    "who": {"dtype": "string", "_type": "Value"},
    "age": {"dtype": "float64", "_type": "Value"},
    "mass": {"dtype": "int64", "_type": "Value"},
}
PIXELS = np.random.default_rng(0).integers(0, 256, (40, 7, 5, 4)).astype(np.uint8)
ALPHA = {"features": ["image"], "alpha": "white", "channels": "grey"}
BLOCK = {"name": "hf_folder", "target": "kind", "size": None, "resize": "crop", **ALPHA}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def png(pixels: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def columns(numbers: range) -> dict[str, list[Any]]:
    return {
        "image": [{"bytes": png(PIXELS[i]), "path": f"{i}.png"} for i in numbers],
        "kind": [i % 2 for i in numbers],
        "who": [f"w{i // 4}" for i in numbers],
        "age": [0.5 * i for i in numbers],
        "mass": [2 + i for i in numbers],
    }


@pytest.fixture
def folder(tmp_path: Path, save_set: Save) -> Path:
    """30 images with train, 10 with test; those of train in three files."""
    for name, numbers in (("train", range(30)), ("test", range(30, 40))):
        save_set(tmp_path / "set" / name, columns(numbers), FEATURES, 3 if name == "train" else 1)
    (tmp_path / "set" / "dataset_dict.json").write_text(json.dumps({"splits": ["train", "test"]}))
    return tmp_path / "set"


def test_images_are_those_of_the_same_files_in_folders(folder: Path, tmp_path: Path):
    source = hf_folder(str(folder), "kind", **ALPHA)
    for part, first, count in (("train", 0, 30), ("test", 30, 10)):
        for i in range(first, first + count):
            place = tmp_path / "tree" / part / NAMES[i % 2] / f"{i:02}.png"
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(png(PIXELS[i]))
    tree = image_folder(str(tmp_path / "tree"), alpha="white", channels="grey")
    assert source.classes == tree.classes == ("cat", "owl")
    assert source.standardize == tree.standardize == "image"
    for ours, theirs in ((source.train, tree.train), (source.test, tree.test)):
        assert ours is not None and theirs is not None
        by_class = ours.y.argsort(kind="stable")
        np.testing.assert_array_equal(np.asarray(ours.x)[by_class], theirs.x)
        np.testing.assert_array_equal(ours.y[by_class], theirs.y)
    roles = {about.name: (about.role, about.kind) for about in source.table.about}
    assert roles["image"] == ("feature", "images")
    assert roles["kind"] == ("target", "category")


def test_other_columns_say_what_they_say_of_a_table(folder: Path):
    train = str(folder / "train")
    source = hf_folder(
        train, "age", task="regression", split_by="who", weights="mass", features=["image"], alpha="drop"
    )
    np.testing.assert_array_equal(source.train.x, PIXELS[:30, ..., :3])
    np.testing.assert_array_equal(source.train.y, 0.5 * np.arange(30))
    np.testing.assert_array_equal(source.table.weights, 2.0 + np.arange(30))
    rows = prepare(source, validation=0.2, test=0.2, split_seed=0).rows
    people = [{i // 4 for i in part.tolist()} for part in rows.values()]
    assert not people[0] & people[1] and not people[0] & people[2] and not people[1] & people[2]


def test_images_are_decoded_once_until_a_file_changes(
    folder: Path, save_set: Save, monkeypatch: pytest.MonkeyPatch
):
    places: list[str] = []
    decode = _image_batches.decode_bytes
    monkeypatch.setattr(
        _image_batches, "decode_bytes", lambda image, form: places.append(image.place) or decode(image, form)
    )
    train = folder / "train"
    first = np.array(hf_folder(str(train), "kind", **ALPHA).train.x)
    assert len(set(places)) == 30
    places.clear()
    np.testing.assert_array_equal(hf_folder(str(train), "kind", **ALPHA).train.x, first)
    assert places == []
    for file in train.iterdir():
        file.unlink()
    train.rmdir()
    save_set(train, columns(range(1, 31)), FEATURES, 3)
    again = hf_folder(str(train), "kind", **ALPHA).train.x
    np.testing.assert_array_equal(again[:-1], first[1:])


def test_a_run_predicts_and_evaluates_for_a_split(folder: Path, tmp_path: Path):
    source = hf_folder(str(folder), "kind", **ALPHA)
    fitted = prepare(source, validation=0.2, test=0.2, split_seed=0).fitted
    assert source.test is not None
    [piece] = input_pieces(folder / "test", BLOCK, fitted, print, Extras(keep=["who"], targets=True))
    np.testing.assert_array_equal(piece.x, source.test.x)
    np.testing.assert_array_equal(piece.targets, source.test.y)
    assert [(name, [*cells]) for name, cells in piece.kept] == [("who", columns(range(30, 40))["who"])]
    (tmp_path / "one.png").write_bytes(png(PIXELS[30]))
    [single] = input_pieces(tmp_path / "one.png", BLOCK, fitted, print)
    np.testing.assert_array_equal(single.x[0], piece.x[0])
    [other] = input_pieces(folder / "test", {**BLOCK, "name": "image_folder"}, fitted, print)
    np.testing.assert_array_equal(other.x, piece.x)
    with pytest.raises(DataError, match="holds the splits train, test; write the folder of one"):
        next(input_pieces(folder, BLOCK, fitted, print))
    with pytest.raises(
        DataError, match="one column of images; there are image; the run was trained on 'photo'"
    ):
        next(input_pieces(folder / "test", {**BLOCK, "features": ["photo"]}, fitted, print))
    numbers = fitted._replace(classes=())
    with pytest.raises(
        SpecError, match="predicts no classes, which are all that the names of folders can say"
    ):
        next(input_pieces(tmp_path, BLOCK, numbers, print, Extras(targets=True)))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {},
            r"'image' holds images, and would be an input beside 'who', 'age', 'mass'; write data.features: \[image\]",
        ),
        (
            {"features": ["image"]},
            r"train:1:1: column 'image': has transparent pixels.*write data.alpha: white",
        ),
        (
            {**ALPHA, "rare": 2, "missing": "mean"},
            "data.missing, data.rare: column 'image' holds images, the only",
        ),
        ({"features": ["age"], "size": [4, 4]}, "data.size: no feature holds images; leave it out"),
        ({**ALPHA, "depth": 16, "channels": "rgb"}, "data.depth: .*write data.channels: grey too"),
    ],
)
def test_what_cannot_be_had_is_said(options: dict[str, Any], message: str, folder: Path):
    with pytest.raises(DataError, match=message):
        hf_folder(str(folder / "train"), "kind", **options)


def test_rows_without_a_readable_image_are_named_at_once(tmp_path: Path, save_set: Save):
    content = columns(range(20))
    content["image"][3] = None
    content["image"][4] = {"bytes": None, "path": "/away/4.png"}
    content["image"][5] = {"bytes": b"GIF89a", "path": None}
    content["image"][6] = {"bytes": png(PIXELS[6])[:-30], "path": None}
    content["image"][7] = {"bytes": png(PIXELS[7][:, :3]), "path": None}
    with pytest.raises(DataError) as caught:
        hf_folder(str(save_set(tmp_path / "set", content, FEATURES)), "kind", **ALPHA)
    lines = str(caught.value).splitlines()
    place = f"{tmp_path}/set:{{}}:1: column 'image': "
    starts = [
        (4, "is empty; remove the row (Dataset.filter)"),
        (5, "names a file, /away/4.png, and does not hold its content; load it and save it again"),
        (6, "starts with 47 49 46 38 39 61, not a JPEG or PNG image; convert it, or remove the row"),
        (7, "damaged or truncated PNG image"),
        (8, "is 3 wide and 7 high"),
    ]
    assert len(lines) == len(starts)
    for line, (row, start) in zip(lines, starts, strict=True):
        assert line.startswith(place.format(row) + start)


def test_rows_that_were_cut_off_with_the_end_of_a_file_are_missed(tmp_path: Path, save_set: Save):
    """Without the mark at the end, pyarrow reads the batches before the cut and says nothing."""
    folder = save_set(tmp_path / "set", columns(range(20)), FEATURES)
    [file] = folder.glob("*.arrow")
    file.write_bytes(file.read_bytes()[:-8])
    with pytest.raises(DataError, match="is cut short: the mark at the end of the rows is missing"):
        hf_folder(str(folder), "kind", **ALPHA)
