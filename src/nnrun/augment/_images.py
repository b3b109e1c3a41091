"""What augmentations of images share: what an image is, and rearranging its rows and columns."""

from __future__ import annotations

import jax.numpy as jnp
from jax import Array

from nnrun.types import Augmentation, Batch

__all__ = ["images", "inside", "moving", "per_image", "picked", "unchanged"]


def unchanged(key: Array, batch: Batch) -> Batch:
    """The augmentation that is switched off."""
    del key
    return batch


def moving(augment: Augmentation) -> Augmentation:
    """Marks an augmentation that moves pixels: it is refused where each pixel has a mean and deviation of its own."""
    augment.moves_pixels = True  # type: ignore[attr-defined]
    return augment


def images(batch: Batch, side: int = 1, option: str = "") -> Array:
    """The inputs (n, h, w, c) of a batch.

    side    how many pixels height and width must have at least
    option  the option that asks for them, and its value, for the message
    Raises ValueError where they are no images, or smaller ones.
    """
    if batch.x.ndim != 4:
        raise ValueError("this is for images (height, width, channels); leave it out, or train on images")
    height, width = batch.x.shape[1:3]
    if min(height, width) < side:
        needed = f"needs images of at least {side} × {side} pixels, these have {height} × {width}"
        raise ValueError(f"{option} {needed}; write a smaller one")
    return batch.x


def per_image(a: Array) -> Array:
    """a (n,) -> (n, 1, 1, 1), one number for each image."""
    return a[:, None, None, None]


def picked(x: Array, rows: Array, columns: Array) -> Array:
    """Rows and columns of each image by their positions, which must lie inside.

    x (n, h, w, c), rows (n, i) int, columns (n, j) int -> (n, i, j, c)

    Two gathers of whole rows and columns: 0.2 ms for 128 images of 32 × 32 on one core, where one gather of
    single pixels takes 0.5 ms.
    """
    x = jnp.take_along_axis(x, rows[:, :, None, None], 1, mode="promise_in_bounds")
    return jnp.take_along_axis(x, columns[:, None, :, None], 2, mode="promise_in_bounds")


def inside(rows: Array, columns: Array, height: Array | int, width: Array | int) -> Array:
    """Whether the positions rows (n, i), columns (n, j) lie in [0, height) × [0, width): bool (n, i, j, 1)."""
    in_rows, in_columns = (rows >= 0) & (rows < height), (columns >= 0) & (columns < width)
    return (in_rows[:, :, None] & in_columns[:, None, :])[..., None]
