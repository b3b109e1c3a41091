"""New images for a trained model: which there are, and their pixels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nnrun.data._image_exclude import Exclusion
from nnrun.data._image_tree import find_images
from nnrun.data._images import decode, form_of, is_image, only_errors
from nnrun.errors import DataError, Warn, one_line

__all__ = ["decoded", "images_in"]


def decoded(
    folder: Path, files: Sequence[str], block: Mapping[str, Any], shape: tuple[int, ...]
) -> np.ndarray:
    """(n, *shape) uint8 or float32: images as training makes them.

    block   name and options of the data block that the model was trained with
    Raises DataError naming an image that is not of this shape.
    """
    form = form_of(block)
    x = np.empty((len(files), *shape), form.dtype)
    with only_errors():
        for pixels, name in zip(x, files, strict=True):
            image = decode(folder / name, form)
            if image.shape != shape:
                raise DataError(
                    f"{one_line(folder / name)}: has shape {image.shape}, the model was trained on {shape}; bring it "
                    "to that size"
                )
            pixels[:] = image
    return x


def images_in(folder: Path, block: Mapping[str, Any], warn: Warn) -> list[str]:
    """The images below a folder, sorted by path; `warn` receives a line for what is left out.  Raises DataError.

    block   name and options of the data block that the model was trained with, which may exclude some
    """
    excluded = Exclusion(block.get("exclude") or ())
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
