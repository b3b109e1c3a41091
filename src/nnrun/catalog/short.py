"""Which field of a record its short form gives, so that an override can set another one beside it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path as FileSystemPath

from nnrun import spec
from nnrun.catalog.blocks import find
from nnrun.catalog.bound import entry_kind, hints
from nnrun.spec.plain import Block, Plain, in_full
from nnrun.spec.problem import Path
from nnrun.spec.record import record_of

__all__ = ["read", "short_field"]


def read(path: FileSystemPath, overrides: Sequence[str] = ()) -> spec.Document:
    """`spec.read`, with overrides that may set a field of a record whose short form was written."""
    return spec.read(path, overrides, partial(short_field, path.parent.absolute()))


def short_field(folder: FileSystemPath, value: Block, path: Path) -> str | None:
    """The field that a value at `path` of a spec is short for; None where the option there is no record.

    folder   where the user's modules are
    """
    kind, *rest = path
    inner: Plain = value.get(str(kind))
    while rest:
        if isinstance(inner, list):
            number, *rest = rest
            inner = inner[int(number)]
            continue
        block = in_full(inner)
        if not isinstance(block, dict):
            return None
        key, *rest = rest
        hint = _hint(str(kind), block, str(key), folder)
        record = record_of(hint)
        if record is not None and not rest:
            return record._fields[0]
        kind, inner = entry_kind(hint), block.get(str(key))
        if kind is None:
            return None
    return None


def _hint(kind: str, block: Block, option: str, folder: FileSystemPath) -> object:
    """The type of an option of a block; None where it cannot be found out, which is reported elsewhere."""
    try:
        function = find(kind, str(block.get("name", spec.BLOCKS.get(kind))), folder)
        return hints(function).get(option) if option != "return" else None
    except (LookupError, NameError, TypeError):
        return None
