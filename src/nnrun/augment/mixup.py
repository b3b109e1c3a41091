from __future__ import annotations

import jax

from nnrun.augment._images import unchanged
from nnrun.augment._mixing import Per, partners, refuse_second, shares, spread
from nnrun.options import Rate, is_off
from nnrun.types import Augmentation

__all__ = ["mixup"]


def mixup(alpha: Rate = 1.0, per: Per = "batch") -> Augmentation:
    """mixup: each example blended with another one of the batch, and its target too.

    x̃ = λ xᵢ + (1 − λ) xⱼ,  L = λ L(f(x̃), yᵢ) + (1 − λ) L(f(x̃), yⱼ),  λ ~ Beta(α, α)

    j is a random permutation of the batch.  For cross-entropy the loss is that of the blended one-hot targets.
    Works on any inputs, not only images.  The metrics of training are blended like the loss.

    alpha   α ≥ 0: small, nearly no blending; 1, λ is uniform (the paper: 1 for CIFAR-10, 0.2 for ImageNet)
    per     "batch": one λ for the whole batch, as in the paper; "example": one for each example
    Source: Zhang et al. 2018, "mixup: beyond empirical risk minimization".
    """
    if is_off(alpha):
        return unchanged

    def augment(key, batch):
        refuse_second(batch)
        x = batch.x
        whom, how_much = jax.random.split(key)
        partner, share = partners(whom, batch.weight), spread(shares(how_much, alpha, per, x), x)
        share_by_example = share.reshape(-1, *[1] * (x.ndim - 1))
        return batch._replace(
            x=share_by_example * x + (1 - share_by_example) * x[partner], other=batch.y[partner], share=share
        )

    return augment
