"""A State as named arrays on the host, and back: what a checkpoint holds."""

from __future__ import annotations

from collections.abc import Mapping

import jax
import numpy as np

from nnrun.training.mesh import put
from nnrun.types import State, Tree

__all__ = ["flatten", "lane", "named", "shapes", "stack", "unflatten"]


def _name(path: tuple) -> str:
    return jax.tree_util.keystr(path, simple=True, separator="/")


def _raw(state: State) -> State:
    """The state with the key as plain words."""
    return state._replace(key=jax.random.key_data(state.key))


def named(tree: Tree) -> dict[str, np.ndarray]:
    """Copies of the leaves of a tree as arrays, by path."""
    # A copy, not a view of the device's memory.
    return {_name(path): np.array(leaf) for path, leaf in jax.tree_util.tree_leaves_with_path(tree)}


def flatten(state: State) -> dict[str, np.ndarray]:
    """Copies of all arrays of a state, by path: params/hidden_1/kernel, opt_state/t, key, ..."""
    return named(_raw(state))


def shapes(like: State) -> dict[str, tuple[tuple[int, ...], np.dtype]]:
    """Shape and dtype of each array that `flatten` gives for a state like this one."""
    leaves = jax.tree_util.tree_leaves_with_path(jax.eval_shape(_raw, like))
    return {_name(path): (tuple(leaf.shape), np.dtype(leaf.dtype)) for path, leaf in leaves}


def unflatten(arrays: Mapping[str, np.ndarray], like: State, places: Tree = None) -> State:
    """The state again, with the structure of `like`; `places`: where its arrays are put."""
    structure = jax.eval_shape(_raw, like)
    raw = jax.tree_util.tree_map_with_path(lambda path, _: np.asarray(arrays[_name(path)]), structure)
    # A copy, so that nothing the compiled programs do can reach the caller's arrays.
    state = put(raw, places, may_alias=False)
    return state._replace(key=jax.random.wrap_key_data(state.key))


def lane(arrays: Mapping[str, np.ndarray], index: int) -> dict[str, np.ndarray]:
    """The arrays of one run of a population."""
    return {name: array[index] for name, array in arrays.items()}


def stack(members: list[Tree]) -> Tree:
    """The arrays of several runs as those of a population."""
    return {name: np.stack([member[name] for member in members]) for name in members[0]}
