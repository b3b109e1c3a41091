from __future__ import annotations

import jax
import jax.numpy as jnp

from nnrun.augment._images import images, inside, unchanged
from nnrun.augment._mixing import Per, partners, refuse_second, shares, spread
from nnrun.options import Probability, Rate, is_off
from nnrun.types import Augmentation

__all__ = ["cutmix"]


def cutmix(alpha: Rate = 1.0, p: Probability = 0.5, per: Per = "batch") -> Augmentation:
    """CutMix: a rectangle out of another image of the batch, and as much of its target.

    λ ~ Beta(α, α); a rectangle of ⌊h √(1 − λ)⌋ × ⌊w √(1 − λ)⌋ pixels about a random centre, cut at the border,
    comes from image j; L = λ L(f(x̃), yᵢ) + (1 − λ) L(f(x̃), yⱼ) with 1 − λ then the area really covered.

    j is a random permutation of the batch.  The metrics of training are mixed like the loss.

    alpha   α ≥ 0; 1: λ is uniform
    p       probability that a batch (or an example, see `per`) is mixed at all (the paper: 0.5 for CIFAR)
    per     "batch": one λ and one rectangle for the whole batch, as in the paper; "example": one for each
    Source: Yun et al. 2019, "CutMix: regularization strategy to train strong classifiers".
    """
    if is_off(alpha) or is_off(p):
        return unchanged

    def augment(key, batch):
        x = images(batch)
        refuse_second(batch)
        height, width = x.shape[1:3]
        whom, how_much, where, whether = jax.random.split(key, 4)
        partner, share = partners(whom, batch.weight), shares(how_much, alpha, per, x)
        mixed = jax.random.uniform(whether, share.shape, x.dtype) < jnp.asarray(p, x.dtype)
        side = jnp.sqrt(1 - jnp.where(mixed, share, 1))
        (top, bottom), (left, right) = (
            _interval(key, side, size)
            for key, size in zip(jax.random.split(where), (height, width), strict=True)
        )
        area = ((bottom - top) * (right - left)).astype(x.dtype)
        rows = jnp.arange(height, dtype=jnp.int32)[None] - spread(top, x)[:, None]
        columns = jnp.arange(width, dtype=jnp.int32)[None] - spread(left, x)[:, None]
        high, wide = (spread(a, x)[:, None] for a in (bottom - top, right - left))
        patched = jnp.where(inside(rows, columns, high, wide), x[partner], x)
        return batch._replace(x=patched, other=batch.y[partner], share=spread(1 - area / (height * width), x))

    return augment


def _interval(key: jax.Array, side: jax.Array, size: int) -> tuple[jax.Array, jax.Array]:
    """Beginning and end of ⌊size · side⌋ pixels about a random one of `size`, cut at the border."""
    length = jnp.floor(size * side).astype(jnp.int32)
    centre = jax.random.randint(key, side.shape, 0, size, jnp.int32)
    begin = centre - length // 2
    return jnp.clip(begin, 0, size), jnp.clip(begin + length, 0, size)
