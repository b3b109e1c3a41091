"""What the adapters of other libraries' modules share: arrays by readable names, one precision, modes."""

from __future__ import annotations

import inspect
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import Array

from nnrun.types import Tree

__all__ = ["alike", "at_precision", "flags", "named", "outputs_of", "unnamed"]


def named(tree: Tree) -> dict[str, Tree]:
    """The arrays of any tree as nested dicts by the names on their paths: layers/0/weight."""
    tree_by_name: dict[str, Tree] = {}
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
        *parents, last = _names(path)
        node = tree_by_name
        for parent in parents:
            node = node.setdefault(parent, {})
        node[last] = leaf
    return tree_by_name


def unnamed(arrays: dict[str, Tree], like: Tree) -> Tree:
    """The tree `like` with the arrays that `named` has found in one of its structure."""

    def array_at(path: tuple, _: Tree) -> Tree:
        node: Tree = arrays
        for name in _names(path):
            node = node[name]
        return node

    return jax.tree_util.tree_map_with_path(array_at, like)


def _names(path: tuple) -> list[str]:
    names = [jax.tree_util.keystr((key,), simple=True) for key in path]
    # flax.nnx keeps each array as the value of a Variable
    return names[:-1] if len(names) > 1 and getattr(path[-1], "name", None) == "value" else names


def at_precision(tree: Tree) -> Tree:
    """Floats in the precision of the run, whatever the library made; nothing weakly typed."""
    return jax.tree.map(lambda a: _cast(a, jnp.zeros(()).dtype), tree)


def alike(new: Tree, old: Tree) -> Tree:
    """`new` in the dtypes of `old`, as the state of a loop must be."""
    return jax.tree.map(lambda a, b: a.astype(b.dtype), new, old)


def _cast(a: Array, dtype: jnp.dtype) -> Array:
    return a.astype(dtype if jnp.issubdtype(a.dtype, jnp.floating) else a.dtype)


def outputs_of(result: object, x: Array) -> Array:
    """What a module returned, if it is one array."""
    if not hasattr(result, "dtype"):
        raise ValueError(f"it returned a {type(result).__name__}; return one array of shape (n, outputs)")
    return jnp.asarray(result, x.dtype)


def flags(function: Callable[..., object], key: Array | None, weight: Array | None) -> dict[str, bool]:
    """The keyword arguments by which `function` is told its mode, of those that the libraries use."""
    on = key is not None or weight is not None
    known = {
        **dict.fromkeys(("train", "training", "is_training"), on),
        **dict.fromkeys(("deterministic", "inference"), key is None),
        "use_running_average": weight is None,
    }
    parameters = inspect.signature(function).parameters
    return {name: value for name, value in known.items() if name in parameters}
