"""Numbers by name as columns: a name stands for one of them, or for several, which are called NAME_0, NAME_1, ..."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
from jax import Array

__all__ = ["beside", "column_names", "side_by_side"]


def beside(weight: Array, values: Array) -> Array:
    """(n,) as something that (n,) or (n, m) is multiplied by."""
    return weight if values.ndim == 1 else weight[:, None]


def column_names(values: Mapping[str, Any], axes: int = 0) -> list[str]:
    """The names of the columns of what has shapes, sorted by the names that it has.

    axes   of an array that is one column; one that has an axis more is several
    """
    names: list[str] = []
    for name in sorted(values):
        shape = values[name].shape
        names += [name] if len(shape) == axes else [f"{name}_{j}" for j in range(shape[-1])]
    return names


def side_by_side(values: Mapping[str, Array]) -> Array:
    """Numbers () or (m,) by name -> (columns,), in the order of `column_names`."""
    return jnp.concatenate([values[name].reshape(-1) for name in sorted(values)])
