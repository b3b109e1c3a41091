"""Plain data: what a YAML file can hold, and nothing else."""

from __future__ import annotations

from typing import TypeAlias, TypeGuard

__all__ = ["Block", "Plain", "entry", "in_full", "is_number"]

Plain: TypeAlias = "bool | int | float | str | list[Plain] | dict[str, Plain] | None"
Block: TypeAlias = dict[str, Plain]


def entry(parent: Block | list[Plain], key: str | int) -> Plain:
    """The value of a key of a block, None for one that is not written; or an entry of a list, which has it."""
    return parent.get(str(key)) if isinstance(parent, dict) else parent[int(key)]


def in_full(block: Plain) -> Plain:
    """The block `{name: adam}` for one that is written as its name alone, `adam`; all else as it is."""
    full: Block = {"name": block}
    return full if isinstance(block, str) else block


def is_number(value: object) -> TypeGuard[int | float]:
    """Whether a value is a number; true and false are none."""
    return isinstance(value, int | float) and not isinstance(value, bool)
