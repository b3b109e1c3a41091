"""Which parameters a penalty is about."""

from __future__ import annotations

import jax
from jax import Array

from nnrun.types import Tree

__all__ = ["weights"]


def weights(params: Tree) -> list[Array]:
    """The arrays of params that are weights: not called bias or scale."""
    leaves = jax.tree_util.tree_leaves_with_path(params)
    return [leaf for path, leaf in leaves if getattr(path[-1], "key", None) not in ("bias", "scale")]
