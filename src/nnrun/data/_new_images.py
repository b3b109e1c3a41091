"""New images for a trained model: which there are, and their pixels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from nnrun import machine
from nnrun.amounts import figure
from nnrun.data._image_exclude import Exclusion
from nnrun.data._image_tree import find_images
from nnrun.data._images import decode_bytes, form_of, is_image, only_errors
from nnrun.data._undecoded import Undecoded
from nnrun.errors import DataError, Warn, one_line
from nnrun.preprocessing import Preprocessing

__all__ = ["check_range", "decoded", "images_in", "range_of", "reads_images"]


def reads_images(block: Mapping[str, Any], fitted: Preprocessing) -> bool:
    """Whether a model was trained on images as files hold them.

    block   name and options of the data block that it was trained with
    """
    return block["name"] == "image_folder" or (block["name"] == "hf_folder" and not fitted.columns)


def decoded(images: Sequence[Undecoded], block: Mapping[str, Any], shape: tuple[int, ...]) -> np.ndarray:
    """(n, *shape) uint8 or float32: images as training makes them.

    block   name and options of the data block that the model was trained with
    Raises DataError naming an image that is not of this shape.
    """
    form = form_of(block)
    x = np.empty((len(images), *shape), form.dtype)

    def decode(pixels: np.ndarray, undecoded: Undecoded) -> None:
        image = decode_bytes(undecoded, form)
        if image.shape != shape:
            raise DataError(
                f"{undecoded.place}: has shape {image.shape}, the model was trained on {shape}; bring it "
                "to that size"
            )
        pixels[:] = image

    # On several threads: pillow lets go of Python's lock while it decodes.
    with only_errors(), ThreadPoolExecutor(len(machine.cores()), thread_name_prefix="images") as pool:
        list(pool.map(decode, x, images))  # in order: the first image that is wrong is the one that is named
    return x


def images_in(folder: Path, block: Mapping[str, Any], warn: Warn) -> list[str]:
    """The images below a folder, sorted by path; `warn` receives a line for what is left out.  Raises DataError.

    block   name and options of the data block that the model was trained with, which may exclude some
    """
    # Those of another loader are about columns.
    excluded = Exclusion((block.get("exclude") or ()) if block["name"] == "image_folder" else ())
    files = find_images(folder, is_image, excluded)
    if not files.images:
        but = f"; {excluded.line}, as in training" if excluded.line else ""
        raise DataError(f"{one_line(folder)}: holds no images{but}")
    if excluded.line:
        warn(f"{one_line(folder)}: {excluded.line}, as in training")
    if files.beside:
        names = one_line(", ".join(files.beside), 80)
        warn(f"{one_line(folder)}: left out, for they are no images: {names}")
    return files.images


def range_of(block: Mapping[str, Any]) -> tuple[float, float] | None:
    """The least and the most that pixels can be which are floats; None where they are none, or anything.

    block   name and options of the data block that a model was trained with
    """
    floats = block["name"] in ("image_folder", "hf_folder") and block.get("depth") == 16
    return (0.0, 1.0) if floats else None


def check_range(x: np.ndarray, block: Mapping[str, Any], place: str) -> None:
    """Raises DataError for images as arrays whose values are those of 16 bits, and not floats from 0 to 1."""
    ends = range_of(block)
    if ends and x.size and (x.min() < ends[0] or x.max() > ends[1]):
        raise DataError(
            f"{place}: values from {figure(x.min(), 6)} to {figure(x.max(), 6)}; the model was trained on images "
            "from 0 to 1: divide values of 16 bits by 65535"
        )
