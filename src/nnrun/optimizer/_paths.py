"""Parameters by their names: hidden_1/kernel."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase

import jax

from nnrun.types import Tree

__all__ = ["first_match", "map_with_name", "name_of", "names"]


def name_of(path: tuple) -> str:
    """The name of a leaf from its path: hidden_1/kernel."""
    return jax.tree_util.keystr(path, simple=True, separator="/")


def names(params: Tree) -> list[str]:
    """The names of all arrays of params."""
    return [name_of(path) for path, _ in jax.tree_util.tree_leaves_with_path(params)]


def first_match(name: str, patterns: Sequence[str]) -> str | None:
    """The first pattern that fits a name; * stands for any characters, ? for one, [ab] for a or b."""
    return next((pattern for pattern in patterns if fnmatchcase(name, pattern)), None)


def map_with_name(function: Callable, tree: Tree, *others: Tree) -> Tree:
    """function(name, leaf, *leaves) of each array."""
    return jax.tree_util.tree_map_with_path(
        lambda path, *leaves: function(name_of(path), *leaves), tree, *others
    )
