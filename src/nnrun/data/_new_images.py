"""New images for a trained model: which there are, and their pixels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nnrun.data._image_tree import find_images
from nnrun.data._images import Form, decode, is_image, only_errors
from nnrun.errors import DataError, Warn, one_line

__all__ = ["decoded", "images_in"]


def decoded(
    folder: Path, files: Sequence[str], block: Mapping[str, Any], shape: tuple[int, ...]
) -> np.ndarray:
    """(n, *shape) uint8: images as training makes them.

    block   name and options of the data block that the model was trained with
    Raises DataError naming an image that is not of this shape.
    """
    size = block["size"]
    form = Form(block["channels"], (size[0], size[1]) if size else None, block["resize"])
    x = np.empty((len(files), *shape), np.uint8)
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


def images_in(folder: Path, warn: Warn) -> list[str]:
    """The images below a folder, sorted by path; `warn` receives a line for what is left out.  Raises DataError."""
    files = find_images(folder, is_image)
    if not files.images:
        raise DataError(f"{one_line(folder)}: holds no images")
    if files.beside:
        names = one_line(", ".join(files.beside), 80)
        warn(f"{one_line(folder)}: left out, for they are no images: {names}")
    return files.images
