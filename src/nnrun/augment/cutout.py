from __future__ import annotations

import jax
import jax.numpy as jnp

from nnrun.augment._images import images, inside, per_image, unchanged
from nnrun.options import Count, Probability, is_off
from nnrun.types import Augmentation

__all__ = ["cutout"]


def cutout(size: Count = 8, p: Probability = 1.0) -> Augmentation:
    """Cutout: a square of the mean pixel somewhere on the image.

    x[i, j] ← 0 for c₁ − ⌊s/2⌋ ≤ i < c₁ + ⌈s/2⌉ and c₂ − ⌊s/2⌋ ≤ j < c₂ + ⌈s/2⌉,  c ~ U over the pixels

    The centre may be any pixel, so part of the square may lie outside: then less is covered, which the paper
    found to matter.

    size   side s of the square in pixels, at most height and width (the paper: 16 for CIFAR-10, 8 for CIFAR-100)
    p      probability that an image gets one
    Source: DeVries & Taylor 2017, "Improved regularization of convolutional neural networks with cutout".
    """
    if is_off(p):
        return unchanged

    def augment(key, batch):
        x = images(batch, size, f"size {size}")
        n, height, width, _ = x.shape
        where, whether = jax.random.split(key)
        centre = jax.random.randint(where, (n, 2), 0, jnp.asarray([[height, width]], jnp.int32), jnp.int32)
        corner = centre - size // 2
        rows = jnp.arange(height, dtype=jnp.int32)[None] - corner[:, :1]
        columns = jnp.arange(width, dtype=jnp.int32)[None] - corner[:, 1:]
        covered = jax.random.uniform(whether, (n,), x.dtype) < jnp.asarray(p, x.dtype)
        return batch._replace(x=jnp.where(inside(rows, columns, size, size) & per_image(covered), 0, x))

    return augment
