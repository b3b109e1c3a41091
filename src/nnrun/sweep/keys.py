"""Keys of `sweep.over` that would change nothing, because the sweep or another key sets the same."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from nnrun.spec import override

__all__ = ["overlaps", "taken"]

_OURS = {
    "name": "leave it out",
    "train.seed": "write it into the base, and sweep.seeds for several",
    "train.seeds": "write sweep.seeds",
    "checkpoint.best": "write sweep.metric",
}


def taken(key: str, value: Any) -> Iterator[str]:
    """What is wrong with a key, or with one inside its values, that the sweep itself sets."""
    for ours, remedy in _OURS.items():
        inner = ours.removeprefix(f"{key}.")
        if override.contains(ours, key):
            yield f"the sweep sets this; {remedy}"
        elif override.contains(key, ours) and any(inner in block for block in _blocks(value)):
            yield f"the sweep sets {ours}; {remedy}"


def _blocks(value: Any) -> Iterator[dict]:
    """The blocks that a key may become."""
    if isinstance(value, dict):
        yield value
    entries = value.values() if isinstance(value, dict) and len(value) == 1 else value
    for entry in entries if isinstance(value, dict | list) else ():
        if isinstance(entry, dict | list):
            yield from _blocks(entry)


def overlaps(key: str, before: Sequence[str]) -> Iterator[str]:
    """What is wrong with a key that sets a part of what another one sets, or all of it."""
    for earlier in before:
        outer, inner = (key, earlier) if override.contains(key, earlier) else (earlier, key)
        if override.contains(inner, outer):
            yield f"it is the same as {earlier}; write it once"
        elif override.contains(outer, inner):
            yield (
                f"it overlaps with {earlier}, so one would overwrite the other; "
                f"write only {outer}, with {inner} inside its values"
            )
