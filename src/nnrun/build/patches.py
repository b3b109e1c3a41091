"""What whitening needs to know of the training data: the second moments of their patches."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np

from nnrun.data._absent import Absent
from nnrun.types import Dataset

__all__ = ["second_moments_of"]

_IMAGES = 5000  # 4.8 million patches of 32 × 32 images: their moments are known to a thousandth
_TOGETHER = 250


def second_moments_of(dataset: Dataset) -> Callable[[int], np.ndarray]:
    """kernel -> E[p pᵀ] (d, d) float64 over all patches p of kernel × kernel pixels, d = kernel² · channels.

    Inputs are standardised as the model gets them, up to 5,000 of them spread over the training part.  Where the
    data are not read, since a checkpoint will bring what was made of them, it is the unit matrix.
    """

    @cache
    def second_moments(kernel: int) -> np.ndarray:
        x = dataset.train.x
        d = kernel * kernel * x.shape[-1]
        if isinstance(x, Absent):
            return np.eye(d)
        total, patches = np.zeros((d, d)), 0
        chosen = np.arange(0, len(x), -(-len(x) // _IMAGES))
        for start in range(0, len(chosen), _TOGETHER):
            stored = np.asarray(x[chosen[start : start + _TOGETHER]], np.float64)
            rows = _patches((stored - dataset.shift) / dataset.scale, kernel)
            total, patches = total + rows.T @ rows, patches + len(rows)
        return total / patches

    return second_moments


def _patches(images: np.ndarray, kernel: int) -> np.ndarray:
    """images (n, h, w, c) -> (patches, kernel · kernel · c), entries in the order of a convolution's window."""
    windows = np.lib.stride_tricks.sliding_window_view(
        images, (kernel, kernel), (1, 2)
    )  # (n, h', w', c, k, k)
    return windows.transpose(0, 1, 2, 4, 5, 3).reshape(-1, kernel * kernel * images.shape[-1])
