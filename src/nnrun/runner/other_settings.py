"""Settings that give weights of one shape another meaning: the activation, the heads of an attention, the groups of a
norm, a file of code that has changed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from nnrun import build, catalog
from nnrun.errors import RunError, one_line
from nnrun.record import provenance
from nnrun.record.checkpoint import sha256_of
from nnrun.record.names import RESOLVED
from nnrun.runner.session import Prepared
from nnrun.spec import yaml12
from nnrun.storage import fsio

__all__ = ["changed_settings"]

_BEGINS = "init"  # how weights are drawn that nothing is taken for


def changed_settings(folder: Path, prepared: Prepared, kinds: Sequence[str], partly: bool) -> list[str]:
    """What differs between the blocks of a run and those of a spec, a short line each.

    kinds    the blocks: model, optimizer
    partly   whether only some layers are taken: then numbers are sizes of the others, and may differ
    Numbers with a fraction may always differ: rates of dropout and learning rates belong to no weight.
    Raises RunError where the folder is damaged.
    """
    place = folder / RESOLVED
    before: Any = yaml12.parse(fsio.read_file(place), str(place)).value
    if not isinstance(before, Mapping) or any(kind not in before for kind in kinds):
        raise RunError(f"{one_line(place)}: damaged; restore it")
    now = build.resolved(*prepared)
    changes = [
        f"{name} was {_shown(old)}, it is {_shown(new)}"
        for kind in kinds
        for name, old, new in _differences(kind, before[kind], now[kind])
        if not (partly and {type(old), type(new)} <= {int, type(None)})
    ]
    return changes + _changed_files(folder, prepared)


def _shown(value: object) -> str:
    words = {None: "null", True: "true", False: "false"}
    return words[value] if value is None or isinstance(value, bool) else one_line(value, 40)


def _differences(name: str, old: object, new: object) -> Iterator[tuple[str, object, object]]:
    """The options that differ, by their names in the spec; below another name, the others mean nothing."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        if old.get("name") != new.get("name"):
            yield f"{name}.name", old.get("name"), new.get("name")
            return
        for key in dict.fromkeys((*old, *new)):
            if key == _BEGINS:
                continue
            yield from _differences(f"{name}.{key}", old.get(key), new.get(key))
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for i, pair in enumerate(zip(old, new, strict=True)):
            yield from _differences(f"{name}.{i}", *pair)
    elif old != new and not isinstance(old, float | list) and not isinstance(new, float | list):
        yield name, old, new


def _changed_files(folder: Path, prepared: Prepared) -> list[str]:
    """The user's own files that both use, with other content."""
    before = provenance.read(folder).get("code", {})
    return [
        f"{one_line(file)} has changed"
        for file in catalog.user_files(prepared.spec)
        if str(file) in before and before[str(file)] != sha256_of(file)
    ]
