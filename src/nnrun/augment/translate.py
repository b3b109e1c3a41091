from __future__ import annotations

import jax
import jax.numpy as jnp

from nnrun.augment._images import images, inside, moving, picked
from nnrun.options import Count
from nnrun.types import Augmentation

__all__ = ["translate"]


def translate(pixels: Count = 2) -> Augmentation:
    """Translation: the image moved by some pixels, with the mean pixel where nothing was.

    x[i, j] ← x[i + d₁, j + d₂], 0 outside the image,  d ~ U{−r, ..., r}² for each image

    Inputs are standardised, so 0 is the mean.  This is also the crop from an image padded with zeros
    (He et al. 2016 with r = 4); `random_crop` pads by reflection.

    pixels   r, less than height and width
    Source: Simard et al. 2003, "Best practices for convolutional neural networks".
    """

    def augment(key, batch):
        x = images(batch, pixels + 1, f"pixels {pixels}")
        n, height, width, _ = x.shape
        shift = jax.random.randint(key, (n, 2), -pixels, pixels + 1, jnp.int32)
        rows = shift[:, :1] + jnp.arange(height, dtype=jnp.int32)[None]
        columns = shift[:, 1:] + jnp.arange(width, dtype=jnp.int32)[None]
        moved = picked(x, jnp.clip(rows, 0, height - 1), jnp.clip(columns, 0, width - 1))
        return batch._replace(x=jnp.where(inside(rows, columns, height, width), moved, 0))

    return moving(augment)
