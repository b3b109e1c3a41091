from __future__ import annotations

import jax
import jax.numpy as jnp

from nnrun.augment._images import images, moving, picked
from nnrun.options import Count
from nnrun.types import Augmentation

__all__ = ["random_crop"]


def random_crop(padding: Count = 4) -> Augmentation:
    """Random crop: a window of the image's size out of the image padded by reflection.

    With r pixels of padding at each side, d ~ U{−r, ..., r}² for each image:
    x[i, j] ← x[R(i + d₁, h), R(j + d₂, w)],  R(i, m) = m − 1 − | m − 1 − |i| |

    R reflects at the first and last pixel without repeating it.  With zeros outside instead of the
    reflection, as in He et al. 2016, it is `translate`.

    padding   r, in pixels, less than height and width
    Source: Zagoruyko & Komodakis 2016, section 3, for the reflection; Krizhevsky et al. 2012 for crops.
    """

    def augment(key, batch):
        x = images(batch, padding + 1, f"padding {padding}")
        n, height, width, _ = x.shape
        shift = jax.random.randint(key, (n, 2), -padding, padding + 1, jnp.int32)
        rows = _reflected(shift[:, :1] + jnp.arange(height, dtype=jnp.int32)[None], height)
        columns = _reflected(shift[:, 1:] + jnp.arange(width, dtype=jnp.int32)[None], width)
        return batch._replace(x=picked(x, rows, columns))

    return moving(augment)


def _reflected(i: jax.Array, size: int) -> jax.Array:
    """Positions from −size + 1 to 2·size − 2, those outside [0, size) reflected at its ends."""
    return size - 1 - jnp.abs(size - 1 - jnp.abs(i))
