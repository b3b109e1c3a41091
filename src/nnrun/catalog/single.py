"""One block by itself, from text as on a command line, and what its function returns."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nnrun import spec
from nnrun.catalog import bound
from nnrun.catalog.blocks import bind_block
from nnrun.catalog.bound import Bound
from nnrun.duration import Clock
from nnrun.errors import SpecError

__all__ = ["bind_one", "make_one"]


def bind_one(kind: str, text: str, folder: Path) -> Bound:
    """One block from text as in a spec: `adam` or `{name: adam, learning_rate: 0.1}`.  Raises SpecError."""
    tree = spec.parse(text, text, argument=True)
    tree.problems.raise_if_any()
    return bind_block(kind, tree.value, (kind,), tree.places, folder)


def make_one(kind: str, text: str, folder: Path) -> Any:
    """What the function of one block returns, where nothing in it depends on a run.  Raises SpecError."""
    block = bind_one(kind, text, folder)
    try:
        return bound.call(block, {}, Clock(1, 1, 0))
    except bound.WrongResultError as error:
        raise SpecError(f"{kind}: {error}") from None
