from __future__ import annotations

import jax
import jax.numpy as jnp

from nnrun.augment._images import images, moving, per_image, unchanged
from nnrun.options import Probability, is_off
from nnrun.types import Augmentation

__all__ = ["horizontal_flip"]


def horizontal_flip(p: Probability = 0.5) -> Augmentation:
    """Horizontal flip: the mirror image, left for right, with probability p.

    x[i, j] ← x[i, w − 1 − j] where u < p,  u ~ U[0, 1) for each image

    p   probability in [0, 1].  Not for what a mirror changes, such as digits and letters.
    Source: Krizhevsky et al. 2012, section 4.1.
    """
    if is_off(p):
        return unchanged

    def augment(key, batch):
        x = images(batch)
        turned = jax.random.uniform(key, x.shape[:1], x.dtype) < jnp.asarray(p, x.dtype)
        return batch._replace(x=jnp.where(per_image(turned), x[:, :, ::-1], x))

    return moving(augment)
