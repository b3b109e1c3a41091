"""Which field of a record its short form gives, so that an override can set another one beside it.

Overrides are applied before jax is imported, hence before any code of the user's runs: signatures are read as text.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path as FileSystemPath

from nnrun import spec
from nnrun.catalog import listing, source, user_code
from nnrun.catalog.source import Option
from nnrun.spec.plain import Block, Plain, in_full
from nnrun.spec.problem import Path

__all__ = ["read", "short_field"]


def read(path: FileSystemPath, overrides: Sequence[str] = ()) -> spec.Document:
    """`spec.read`, with overrides that may set a field of a record whose short form was written."""
    return spec.read(path, overrides, partial(short_field, path.parent.absolute()))


def short_field(folder: FileSystemPath, value: Block, path: Path) -> str | None:
    """The field that a value at `path` of a spec is short for; None where the option there is no record.

    folder   where the user's modules are
    """
    key, *rest = path
    kind = {**spec.LISTS, spec.TRACK: "tracker"}.get(str(key), str(key))
    inner: Plain = value.get(str(key))
    while rest:
        if isinstance(inner, list):
            number, *rest = rest
            inner = inner[int(number)]
            continue
        block = in_full(inner)
        if not isinstance(block, dict):
            return None
        key, *rest = rest
        option = _option(str(kind), block, str(key), folder)
        if option is None or not rest:
            return option.fields[0].name if option and option.fields else None
        kind, inner = option.kind, block.get(str(key))
    return None


def _option(kind: str, block: Block, key: str, folder: FileSystemPath) -> Option | None:
    """An option of a block; None where it cannot be found, which is reported elsewhere."""
    name = str(block.get("name", spec.BLOCKS.get(kind)))
    try:
        options = _of_the_users_own(name, folder) if user_code.is_user_name(name) else _listed(kind, name)
    except (LookupError, OSError, SyntaxError, ValueError):
        return None
    return next((option for option in options if option.name == key), None)


def _listed(kind: str, name: str) -> tuple[Option, ...]:
    return listing.options(kind, name) if kind in listing.KINDS and name in listing.names(kind) else ()


def _of_the_users_own(name: str, folder: FileSystemPath) -> tuple[Option, ...]:
    file = user_code.module_file(name, folder)
    return source.options(file, name.partition(":")[2]) if file else ()
