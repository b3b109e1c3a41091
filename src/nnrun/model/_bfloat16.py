"""Mixed precision: a model whose activations and products are bfloat16, and all that lies around it float32."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from nnrun.model._named import alike
from nnrun.types import Layer, Tree

__all__ = ["in_bfloat16"]


def in_bfloat16(model: Layer) -> Layer:
    """The model with parameters and inputs rounded to bfloat16 at its boundary, and its outputs float32 again.

    Parameters, batch-norm statistics and what optimizers remember stay float32: the gradient passes through the
    rounding as if it were not there.  So do losses, penalties and metrics, which see parameters and outputs only.
    bfloat16 has the range of float32 and 8 bits of precision, so no loss has to be scaled.
    Source: Micikevicius et al. 2018, "Mixed precision training"; Kalamkar et al. 2019 for bfloat16.
    """

    def apply(params, stats, x, key, weight):
        y, new = model.apply(_rounded(params), stats, _rounded(x), key, weight)
        return y.astype(jnp.float32), alike(new, stats)

    return model._replace(apply=apply)


def _rounded(tree: Tree) -> Tree:
    """Floats in bfloat16; whatever is no float as it is."""
    return jax.tree.map(
        lambda a: a.astype(jnp.bfloat16) if jnp.issubdtype(a.dtype, jnp.floating) else a, tree
    )
