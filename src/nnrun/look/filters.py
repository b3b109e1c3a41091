"""Arrays as small pictures: images of the data, and what the first layer of a net looks for in them."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from nnrun.prediction.folder import is_ensemble
from nnrun.record import checkpoint
from nnrun.record.run import natural
from nnrun.runner.evaluation import load_intact

__all__ = ["MOST_FILTERS", "filters_of", "pictures_of"]

MOST_FILTERS = 64
_CHANNELS = (1, 3)


def pictures_of(images: np.ndarray) -> list[str]:
    """Images (n, h, w, c) with one or three channels as PNG in base64; [] for anything else.

    White is the largest value of all of these images, and black the least; of bytes black is 0.
    """
    if images.ndim != 4 or images.shape[3] not in _CHANNELS:
        return []
    low = 0.0 if images.dtype == np.uint8 else float(images.min())
    return [_png(image) for image in _stretched(images.astype(np.float64), low, images.max())]


def filters_of(folder: Path, which: str, shape: tuple[int, ...]) -> list[str]:
    """What each unit of the first layer of a run looks for, as PNG in base64, the first MOST_FILTERS of them.

    Of a convolution its windows, of a dense layer its weights in the form of the image.  Black is the least weight of
    a filter, white the largest.
    shape   of one input
    [] where inputs are no images, or no weights of the run have the form of inputs.  Raises RunError.
    """
    if is_ensemble(folder) or len(shape) != 3 or shape[2] not in _CHANNELS:
        return []
    kernels = _first_kernel(load_intact(folder, which), shape)
    if kernels is None:
        return []
    kernels, axes = kernels[:MOST_FILTERS], (1, 2, 3)
    stretched = _stretched(kernels, kernels.min(axes, keepdims=True), kernels.max(axes, keepdims=True))
    return [_png(image) for image in stretched]


def _first_kernel(state: checkpoint.Checkpoint, shape: Sequence[int]) -> np.ndarray | None:
    """The weights (units, h, w, c) of the first layer that has the form of images."""
    names = sorted((name for name in state.arrays if name.startswith("params/")), key=natural)
    for name in names:
        array = state.arrays[name].astype(np.float64)
        if array.ndim == 4 and array.shape[2] == shape[2]:
            return array.transpose(3, 0, 1, 2)
        if array.ndim == 2 and array.shape[0] == np.prod(shape) and name.endswith("kernel"):
            return array.T.reshape(-1, *shape)
    return None


def _stretched(images: np.ndarray, low: np.ndarray | float, high: np.ndarray | float) -> np.ndarray:
    """Bytes: `low` becomes 0, `high` 255; black where the two are equal."""
    width = np.where(np.greater(high, low), np.subtract(high, low), 1.0)
    return (255 * (images - low) / width).round().astype(np.uint8)


def _png(image: np.ndarray) -> str:
    """An image (h, w, c) uint8."""
    content = io.BytesIO()
    Image.fromarray(image[..., 0] if image.shape[2] == 1 else image).save(content, "PNG")
    return base64.b64encode(content.getvalue()).decode()
