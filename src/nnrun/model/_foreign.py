"""Modules of Flax (Linen and NNX) and Equinox as Layers.

A library is recognised by the class of what a user's function returned, and imported only then.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable

from jax import Array

from nnrun.types import Layer

__all__ = ["adapted", "asks_for_key", "library_of"]

_BASES = {  # where the class Module of each library lives
    "flax.linen.": "linen",
    "flax.nnx.": "nnx",
    "equinox.": "equinox",
}
_TITLES = {"linen": "a Flax Linen module", "nnx": "a Flax NNX module", "equinox": "an Equinox module"}


def library_of(result: object) -> str | None:
    """linen, nnx or equinox for a module (or the pair of eqx.nn.make_with_state); None for anything else."""
    if type(result) is tuple and len(result) == 2:
        result = result[0] if _library(result[0]) == "equinox" else None
    return _library(result)


def _library(result: object) -> str | None:
    homes = [base.__module__ + "." for base in type(result).__mro__ if base.__name__ == "Module"]
    libraries = (name for home in homes for start, name in _BASES.items() if home.startswith(start))
    return next(libraries, None)


def asks_for_key(library: str | None, takes_key: bool) -> str | None:
    """What is wrong with a function that asks for a `key`, or does not; None: nothing.

    library   of what it returns; None: a Layer
    """
    what = _TITLES.get(library or "", "a Layer")
    if library in ("nnx", "equinox") and not takes_key:
        reason = "so all seeds would begin with the same weights; let nnrun fill in a key"
        return f"returned {what} without a key, {reason}: def my_model(outputs, key)"
    if library not in ("nnx", "equinox") and takes_key:
        return f"asks for a key, but {what} is given one for its weights in init; leave key out"
    return None


def adapted(library: str, make: Callable[[Array], object]) -> Layer:
    """The Layer of a module that `make` returns for a key (which Linen ignores)."""
    module = importlib.import_module(f"nnrun.model._{library}")
    return getattr(module, f"{library}_layer")(make)
