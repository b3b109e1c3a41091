"""Options of image folders: transparency, 16 bits a channel, files that are left out, weights."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nnrun.data._image_exclude import Exclusion
from nnrun.data._images import ImageForm, decode, undecoded
from nnrun.data._new_images import check_range, decoded, images_in, range_of
from nnrun.data._prepare import prepare
from nnrun.data.image_folder import image_folder
from nnrun.errors import DataError
from nnrun.export.files.inputs import prepare as prepare_exported

RNG = np.random.default_rng(0)
SEEN = RNG.integers(0, 256, (7, 5, 4)).astype(np.uint8)  # with every degree of transparency
DEEP = RNG.integers(0, 1 << 16, (6, 4)).astype(np.uint16)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("NNRUN_DATA_DIR", raising=False)


@pytest.fixture
def save(tmp_path: Path) -> Callable[..., Path]:
    """save(pixels or image): a PNG."""

    def write(pixels: np.ndarray | Image.Image, name: str = "x.png", **options: object) -> Path:
        place = tmp_path / name
        place.parent.mkdir(parents=True, exist_ok=True)
        image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
        image.save(place, "PNG", **options)
        return place

    return write


@pytest.mark.parametrize(("alpha", "behind"), [("white", 255), ("black", 0)])
def test_transparent_pixels_on_a_background(alpha, behind: int, save: Callable[..., Path]):
    colour, share = SEEN[..., :3].astype(float), SEEN[..., 3:] / 255
    exact = colour * share + behind * (1 - share)
    got = decode(save(SEEN), ImageForm("rgb", None, "crop", alpha))
    assert np.abs(got - exact).max() <= 0.5 + 1e-9
    by_pillow = Image.alpha_composite(
        Image.new("RGBA", (5, 7), (behind,) * 3 + (255,)), Image.fromarray(SEEN)
    )
    assert np.abs(got - np.asarray(by_pillow.convert("RGB")).astype(int)).max() <= 1
    grey = Image.fromarray(SEEN[..., 2:], "LA")
    exact = SEEN[..., 2] * share[..., 0] + behind * (1 - share[..., 0])
    assert np.abs(decode(save(grey), ImageForm("grey", None, "crop", alpha))[..., 0] - exact).max() <= 1


def test_dropped_alpha_leaves_the_stored_colour(save: Callable[..., Path]):
    np.testing.assert_array_equal(decode(save(SEEN), ImageForm("rgb", None, "crop", "drop")), SEEN[..., :3])
    palette = Image.fromarray(np.array([[0, 1]], np.uint8), "P")
    palette.putpalette([10, 20, 30, 40, 50, 60])
    place = save(palette, transparency=0)
    assert decode(place, ImageForm("rgb", None, "crop", "drop")).tolist() == [[[10, 20, 30], [40, 50, 60]]]
    assert decode(place, ImageForm("rgb", None, "crop", "white")).tolist() == [
        [[255, 255, 255], [40, 50, 60]]
    ]
    with pytest.raises(DataError, match=r"transparent pixels.*write data.alpha: white \(or black, or drop\)"):
        decode(place, ImageForm("rgb", None, "crop"))


def test_sixteen_bits_are_divided_by_65535(save: Callable[..., Path]):
    form = ImageForm("grey", None, "crop", depth=16)
    got = decode(save(DEEP), form)
    assert got.dtype == np.float32
    np.testing.assert_array_equal(got[..., 0], DEEP.astype(np.float32) / np.float32(65535))
    every = np.arange(1 << 16, dtype=np.uint16).reshape(256, 256)
    assert len(np.unique(decode(save(every), form))) == 1 << 16
    eight = np.arange(256, dtype=np.uint8).reshape(16, 16)
    np.testing.assert_allclose(decode(save(eight), form)[..., 0], eight / 255, rtol=1e-7)
    smaller = decode(save(DEEP), ImageForm("grey", (3, 2), "stretch", depth=16))
    by_pillow = Image.fromarray(DEEP.astype(np.float32)).resize((2, 3), Image.Resampling.BICUBIC)
    np.testing.assert_allclose(smaller[..., 0], np.asarray(by_pillow).clip(0, 65535) / 65535, rtol=1e-6)


def test_what_has_no_16_bits_to_read(save: Callable[..., Path], tmp_path: Path):
    with pytest.raises(DataError, match=r"16 bits.*write data.depth: 16 and data.channels: grey"):
        decode(save(DEEP), ImageForm("grey", None, "crop"))
    with pytest.raises(DataError, match="16 bits a channel and a transparent value"):
        decode(save(DEEP, transparency=7), ImageForm("grey", None, "crop", depth=16))
    with pytest.raises(DataError, match=r"data.depth: .*write data.channels: grey too"):
        image_folder(str(tmp_path), depth=16)


@pytest.fixture
def tree(save: Callable[..., Path], tmp_path: Path) -> Path:
    """Twelve cats, twelve dogs and two owls of 16 bits, all transparent but the owls; and what is no image."""
    for name, count in (("cat", 12), ("dog", 12)):
        for i in range(count):
            save(np.roll(SEEN, i, axis=0), f"pets/{name}/{i:02}.png")
    for i in range(2):
        save(np.resize(DEEP + i, (7, 5)), f"pets/owl/{i}.png")
    for name in ("cat/x.gif", "dog/old/thumbs/a.db", "dog/old/thumbs/b.db", "thumbs/c.db"):
        (tmp_path / "pets" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "pets" / name).write_bytes(b"no image")
    return tmp_path / "pets"


LEFT_OUT = ["*.gif", "thumbs/*"]


def test_new_images_are_made_as_in_training(tree: Path):
    options = {"channels": "grey", "alpha": "black", "depth": 16, "exclude": LEFT_OUT}
    source = image_folder(str(tree), **options)
    assert source.classes == ("cat", "dog", "owl")
    assert source.train.x.dtype == np.float32
    assert np.asarray(source.train.x)[-1, 0, 0, 0] == np.float32(int(DEEP[0, 0]) + 1) / np.float32(65535)
    warnings: list[str] = []
    block = {"name": "image_folder", "size": None, "resize": "crop", **options}
    files = images_in(tree, block, warnings.append)
    assert warnings == [f"{tree}: left out by data.exclude: 4 files (*.gif: 1, thumbs/*: 3), as in training"]
    np.testing.assert_array_equal(
        decoded([undecoded(tree / file) for file in files], block, (7, 5, 1)), source.train.x
    )


def test_what_is_left_out_and_what_is_small_is_said(tree: Path):
    notes = image_folder(str(tree), channels="grey", alpha="white", depth=16, exclude=LEFT_OUT).table.notes
    assert notes == (
        "left out by data.exclude: 4 files (*.gif: 1, thumbs/*: 3)",
        "class folders with fewer than 10 images: owl (2)",
    )
    source = image_folder(str(tree), alpha="drop", exclude=[*LEFT_OUT, "owl"])
    assert source.classes == ("cat", "dog")
    assert source.table.notes == ("left out by data.exclude: 6 files (*.gif: 1, thumbs/*: 3, owl: 2)",)


@pytest.mark.parametrize(
    ("patterns", "message"),
    [
        (["*.bmp"], r"pets: data.exclude: no file or folder fits '\*.bmp'"),
        (
            ["thumps/*", "OWLS", "*.bmp"],
            r"^[^\n]*fits 'thumps/\*' .*; did you mean 'thumbs'\?\n.*fits 'OWLS' .*; did you mean 'owl'\?\n[^\n]*fits "
            r"'\*.bmp' .*; correct it, or leave it out$",
        ),
        (
            ["owl/*.png"],
            "pets/owl: this class has no images; data.exclude leaves out all of them; name the fold",
        ),
        (["*"], "pets: holds no folders but those that data.exclude leaves out"),
    ],
)
def test_a_pattern_that_cannot_be_meant(patterns: list[str], message: str, tree: Path):
    with pytest.raises(DataError, match=message):
        image_folder(str(tree), exclude=patterns)


def test_a_pattern_fits_the_end_of_a_path():
    fitting = {
        "thumbs": ["thumbs", "cat/thumbs"], "thumbs/": ["thumbs", "cat/thumbs"], "cat/*.png": ["cat/1.png"],
        "cat/**": ["cat"], "1.png": ["1.png", "cat/1.png"], "[!c]*": ["thumbs", "1.png", "cat/thumbs", "cat/1.png"],
    }  # fmt: skip
    paths = ["cat", "thumbs", "1.png", "cat/thumbs", "cat/1.png"]
    for pattern, expected in fitting.items():
        exclusion = Exclusion([pattern])
        assert [path for path in paths if exclusion.leaves_out(Path("nowhere"), path)] == expected, pattern


def weighted(tree: Path, lines: list[str]):
    (tree.parent / "weights.csv").write_text("\n".join(lines) + "\n")
    return image_folder(
        str(tree), alpha="drop", exclude=[*LEFT_OUT, "owl"], weights=str(tree.parent / "weights.csv")
    )


@pytest.fixture
def lines() -> list[str]:
    """Weights 1 to 24, the last image first."""
    names = [f"{kind}/{i:02}.png" for kind in ("cat", "dog") for i in range(12)]
    return ["file,weight", *(f"{name},{i + 1}" for i, name in reversed([*enumerate(names)]))]


def test_weights_are_those_of_the_images_in_any_order(tree: Path, lines: list[str]):
    source = weighted(tree, lines)
    np.testing.assert_array_equal(source.table.weights, np.arange(1.0, 25))
    plain = prepare(source._replace(table=source.table._replace(weights=None)), **SPLIT)
    dataset = prepare(source, **SPLIT)
    assert dataset.weights is not None
    trained = dataset.rows["train"] + 1
    np.testing.assert_allclose(dataset.weights / dataset.weights[0], trained / trained[0])
    assert dataset.fitted.parts["val"] == plain.fitted.parts["val"]
    assert dataset.fitted.parts["train"].sha256 != plain.fitted.parts["train"].sha256


SPLIT = {"validation": 0.2, "test": 0.2, "split_seed": 0}


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (
            lambda lines: lines[:-2],
            "weights.csv: 2 images have no weight, the first is 'cat/00.png'; add a row",
        ),
        (
            lambda lines: [*lines, lines[3]],
            "weights.csv:26:1: column 'file': 'dog/09.png' has a weight in a row ab",
        ),
        (
            lambda lines: [*lines, "owl/0.png,1"],
            "weights.csv:26:1: .*'owl/0.png' is no image below .* remove the",
        ),
        (
            lambda lines: [*lines[:-1], "cat/00.png,-1"],
            "weights.csv:25:2: column 'weight': '-1' is no weight; write",
        ),
        (lambda lines: ["path,weight", *lines[1:]], "weights.csv:1: data.weights: there is no column 'file'"),
    ],
)
def test_weights_that_are_not_one_for_each_image(changed, message: str, tree: Path, lines: list[str]):
    with pytest.raises(DataError, match=message):
        weighted(tree, changed(lines))


def test_arrays_of_16_bits_are_no_inputs_of_a_model_of_floats():
    block = {"name": "image_folder", "depth": 16}
    assert range_of(block) == (0, 1) and range_of({"name": "image_folder", "depth": 8}) is None
    check_range(DEEP / 65535, block, "new.npz")
    check_range(DEEP, {"name": "npz"}, "new.npz")
    with pytest.raises(DataError, match=f"new.npz: values from {DEEP.min()} to {DEEP.max()}; .* by 65535"):
        check_range(DEEP, block, "new.npz")
    about = {"columns": [], "shape": [6, 4], "dtype": "float32", "precision": "float32", "range": [0.0, 1.0]}
    assert prepare_exported(DEEP[None] / 65535, about).dtype == np.float32
    with pytest.raises(ValueError, match="numbers from 0 to 1; divide values of 16 bits by 65535"):
        prepare_exported(DEEP[None], about)
