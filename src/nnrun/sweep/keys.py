"""Keys of `sweep.over` that would change nothing, because the sweep or another key sets the same."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from nnrun.spec import override
from nnrun.spec.plain import Block, Plain
from nnrun.spec.problem import Problems

__all__ = ["check_key"]

_OURS = {
    "name": "leave it out",
    "train.seed": "write it into the base, and sweep.seeds for several",
    "train.seeds": "write sweep.seeds",
    "checkpoint.best": "write sweep.metric",
}


def check_key(key: str, value: Plain, before: Sequence[str], problems: Problems) -> None:
    """Adds what is wrong with a key that the sweep itself sets, or that sets the same as a key before it.

    problems   of the value of the key
    """
    for message in (*_taken(key, value), *_overlaps(key, before)):
        problems.add((), message)


def _taken(key: str, value: Plain) -> Iterator[str]:
    """What is wrong with a key, or with one inside its values, that the sweep itself sets."""
    for ours, remedy in _OURS.items():
        inner = ours.removeprefix(f"{key}.")
        if override.contains(ours, key):
            yield f"the sweep sets this; {remedy}"
        elif override.contains(key, ours) and any(inner in block for block in _blocks(value)):
            yield f"the sweep sets {ours}; {remedy}"


def _blocks(value: Plain) -> Iterator[Block]:
    """The blocks that a key may become."""
    entries: Iterable[Plain] = value if isinstance(value, list) else ()
    if isinstance(value, dict):
        yield value
        entries = value.values() if len(value) == 1 else ()
    for entry in entries:
        yield from _blocks(entry)


def _overlaps(key: str, before: Sequence[str]) -> Iterator[str]:
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
