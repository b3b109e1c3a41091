from __future__ import annotations

from typing import Annotated

import jax
import jax.numpy as jnp
from annotated_types import Ge, Le

from nnrun.augment._images import images, moving, unchanged
from nnrun.options import is_off
from nnrun.types import Augmentation

__all__ = ["rotate", "turned"]

Angle = Annotated[float, Ge(0), Le(180)]


def rotate(degrees: Angle = 15.0) -> Augmentation:
    """Rotation: the image turned about its centre by a small angle.

    φ ~ U[−a, a) for each image; the pixel at offset (y, x) from the centre becomes what was at
    (y cos φ + x sin φ, x cos φ − y sin φ), interpolated between its four neighbours; outside lies 0, the mean.

    degrees   a in [0, 180]; positive angles turn counter-clockwise
    Source: Simard et al. 2003, "Best practices for convolutional neural networks".
    """
    if is_off(degrees):
        return unchanged

    def augment(key, batch):
        x = images(batch)
        most = jnp.deg2rad(jnp.asarray(degrees, x.dtype))
        return batch._replace(x=turned(x, most * jax.random.uniform(key, x.shape[:1], x.dtype, -1, 1)))

    return moving(augment)


def turned(x: jax.Array, angle: jax.Array) -> jax.Array:
    """Images turned about their centres, by bilinear interpolation.

    x (n, h, w, c), angle (n,) in radians, counter-clockwise -> (n, h, w, c)
    """
    height, width = x.shape[1:3]
    middle, centre = (height - 1) / 2, (width - 1) / 2
    down = jnp.arange(height, dtype=x.dtype)[None, :, None] - middle
    right = jnp.arange(width, dtype=x.dtype)[None, None, :] - centre
    cos, sin = jnp.cos(angle)[:, None, None], jnp.sin(angle)[:, None, None]
    rows = cos * down + sin * right + middle
    columns = cos * right - sin * down + centre
    top, left = jnp.floor(rows), jnp.floor(columns)
    below, beyond = rows - top, columns - left  # how far on the way to the next pixel, in [0, 1)
    i, j = top.astype(jnp.int32), left.astype(jnp.int32)
    return (
        ((1 - below) * (1 - beyond))[..., None] * _pixels(x, i, j)
        + ((1 - below) * beyond)[..., None] * _pixels(x, i, j + 1)
        + (below * (1 - beyond))[..., None] * _pixels(x, i + 1, j)
        + (below * beyond)[..., None] * _pixels(x, i + 1, j + 1)
    )


def _pixels(x: jax.Array, i: jax.Array, j: jax.Array) -> jax.Array:
    """x (n, h, w, c) at rows i (n, k, l), columns j (n, k, l), 0 outside -> (n, k, l, c)."""
    height, width = x.shape[1:3]
    within = (i >= 0) & (i < height) & (j >= 0) & (j < width)
    # By image, so that devices that share a batch each look at their own images only.
    pick = jax.vmap(lambda image, i, j: image.at[i, j].get(mode="promise_in_bounds"))
    values = pick(x, jnp.clip(i, 0, height - 1), jnp.clip(j, 0, width - 1))
    return jnp.where(within[..., None], values, 0)
