"""Images in folders."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from nnrun.data._check import check
from nnrun.data._image_cache import pixels
from nnrun.data._image_exclude import Exclusion
from nnrun.data._image_modes import Alpha, Depth
from nnrun.data._image_tree import ImagePart, image_set, refuse_link, scan, subfolders
from nnrun.data._image_weights import weights_of_images
from nnrun.data._images import Channels, Resize, Size, form_from
from nnrun.errors import DataError, one_line
from nnrun.options import FilePath, Standardize
from nnrun.preprocessing import TableFacts
from nnrun.types import Examples, Source

__all__ = ["image_folder"]

_TESTS = ("test", "val")  # what published sets call the folder that is not for training
_TRAININGS = ("train", "training")
_FEW = 10  # images of a class: of fewer, little is learned and metrics say little
_PARTS = (*_TRAININGS, *_TESTS, "testing", "valid", "validation", "dev", "eval")  # in any case: no classes


def image_folder(
    path: FilePath | None = None,
    test_path: FilePath | None = None,
    size: Size | None = None,
    resize: Resize = "crop",
    channels: Channels = "rgb",
    standardize: Standardize = "image",
    alpha: Alpha = "refuse",
    depth: Depth = 8,
    exclude: list[str] | None = None,
    weights: FilePath | None = None,
) -> Source:
    """JPEG and PNG images, a folder for each class: path/cat/1.jpg, or path/train/cat/1.jpg.

    path         holds the class folders, or train/ and test/ (or val/) that do; default: $NNRUN_DATA_DIR
    test_path    holds the class folders of the test part; default: path/test or path/val where path/train is,
                 else a test part is cut from the images; parts under other names (valid/) are refused
    size         [height, width] that all images are brought to; default: all must have one size already
    resize       "crop": scaled until both sides are covered, the middle cut out; "pad": scaled until it fits,
                 black around it; "stretch": each side on its own; bicubic, averaging when it makes smaller
    channels     "rgb", of which grey images have three equal ones, or "grey"
    standardize  "image": one mean and deviation for all pixels
    alpha        transparent pixels: "drop": their colour as it is stored; "white", "black": on that background, each
                 channel (c · a + b · (255 − a)) / 255, rounded to the nearest
    depth        16: inputs are floats, v / 65535 of a grey PNG of 16 bits, v / 255 of 8 bits; with `channels: grey`
    exclude      patterns of files and folders that are left out, by the end of their path: `["*.gif", thumbs]`; what is
                 predicted for follows them too
    weights      a CSV file with a row for each image to train on: `file`, as in `cat/1.jpg`, and `weight`, how much it
                 counts in the loss that is minimised; metrics are unweighted

    Inputs are (n, height, width, 3 or 1) uint8, of depth 16 float32.  Class names are those of the folders, sorted as
    text; images are sorted by path in each, and every part gets its share of each class.  Whatever its name, each file
    in a class folder must be a JPEG or PNG image of 8 bits a channel, grey, RGB, with a palette, or with an alpha
    channel that is opaque; files beside the class folders and hidden ones do not count.  A photo is turned as its
    camera noted.  Class folders with fewer than ten images are named before training.  Decoded once into
    nnrun/images-... of the user's cache folder ($XDG_CACHE_HOME, ~/.cache), mapped into memory from there, and
    decoded anew where an image, its name or its time has changed.
    Raises DataError naming the file or folder; MachineError if one cannot be read or the cache not be written.
    """
    form = form_from(channels, size, resize, alpha, depth)
    excluded = Exclusion(exclude or ())
    parts = _parts(path, test_path, excluded)
    counted = None if weights is None else weights_of_images(weights, parts[0])
    files = tuple([file.path for file in part.files] for part in parts)
    facts = TableFacts(
        weights=counted, notes=tuple(filter(None, [excluded.line, _few(parts[0])])), files=files
    )
    train, *tests = [
        Examples(x, np.array([file.label for file in part.files], np.int32))
        for x, part in zip(pixels([image_set(part) for part in parts], form), parts, strict=True)
    ]
    source = Source(train, next(iter(tests), None), parts[0].classes, standardize, table=facts)
    return check(source, str(parts[0].folder))


def _parts(path: str | None, test_path: str | None, excluded: Exclusion) -> list[ImagePart]:
    """The images of the training part and, where there is one, of the test part."""
    top, train, test = _places(path, test_path, excluded)
    parts = [scan(train, top, excluded)]
    classes = parts[0].classes
    if len(classes) == 1:
        raise DataError(
            f"{one_line(train)}: holds one class only, {classes[0]}; add a folder for another one"
        )
    if test is not None:
        parts.append(_relabelled(scan(test, top if test_path is None else test, excluded), parts[0]))
    excluded.check_used(top)
    return parts


def _few(part: ImagePart) -> str:
    """Which classes have few images, "" where none has."""
    counts = np.bincount([file.label for file in part.files], minlength=len(part.classes))
    few = [
        f"{one_line(name, 40)} ({count})"
        for name, count in zip(part.classes, counts, strict=True)
        if count < _FEW
    ]
    return f"class folders with fewer than {_FEW} images: {one_line(', '.join(few), 120)}" if few else ""


def _places(path: str | None, test_path: str | None, excluded: Exclusion) -> tuple[Path, Path, Path | None]:
    """The folder that everything lies in, and those of the training and the test classes."""
    given = path or os.environ.get("NNRUN_DATA_DIR")
    if not given:
        raise DataError(
            "data.path: which folder holds the images? write data.path: FOLDER, or set NNRUN_DATA_DIR to it"
        )
    top, test = Path(given), None if test_path is None else Path(test_path)
    names = subfolders(top, excluded)
    if "train" not in names or not set(names) <= {"train", *_TESTS} or not subfolders(top / "train"):
        _refuse_parts(top, names)
        return top, top, test
    tests = [top / name for name in _TESTS if name in names]
    for folder in (top / "train", *tests):
        refuse_link(folder, os.path.realpath(top))
    if test is None and len(tests) > 1:
        raise DataError(
            f"{one_line(top)}: holds train/, test/ and val/, and validation examples are cut from train/; write "
            f"data.path: {one_line(top / 'train')} and data.test_path: {one_line(tests[0])} to leave val/ out"
        )
    return top, top / "train", test or (tests[0] if tests else None)


def _refuse_parts(top: Path, names: list[str]) -> None:
    """Refuses parts of a data set under names that are not known here: they would be taken for classes."""
    training = [name for name in names if name.lower() in _TRAININGS and subfolders(top / name)]
    others = [name for name in names if name not in training]
    if training and others and all(name.lower() in _PARTS for name in names):
        raise DataError(
            f"{one_line(top)}: holds {one_line('/, '.join(names), 80)}/, which look like parts and not like "
            f"classes; rename them to train/ and test/, or write data.path: {one_line(top / training[0])} "
            "(data.validation is cut from it)"
        )


def _relabelled(test: ImagePart, train: ImagePart) -> ImagePart:
    """The test part with the labels of the training part's classes."""
    label = {name: index for index, name in enumerate(train.classes)}
    for name in test.classes:
        if name not in label:
            raise DataError(
                f"{one_line(test.folder / name)}: there is no such class in {one_line(train.folder)}, which has "
                f"{one_line(', '.join(train.classes), 80)}; rename or remove the folder"
            )
    return test._replace(files=[file._replace(label=label[test.classes[file.label]]) for file in test.files])
