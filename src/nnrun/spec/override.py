"""`key.path=value` arguments of the command line, applied to the plain data of a spec."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from nnrun.errors import remark
from nnrun.spec import schema, yaml12
from nnrun.spec.problem import Path, Place, Problem

__all__ = ["apply", "conflicts", "contains", "put"]

_KEY = re.compile(r"\w+(\.\w+){0,19}", re.ASCII)
_COMMENT = re.compile(r"(?:^|\s)#")
_WRITE = "write key.path=value, such as optimizer.learning_rate=3e-4"


def apply(value: dict, text: str, places: dict[Path, Place], blocks: Collection[str]) -> list[Problem]:
    """Sets one `key=value` in `value` and `places`; numbers in the key count the entries of a list from 0.

    value    changed in place; blocks on the way that were not written are made
    blocks   the top-level keys that hold catalogue blocks, where `adam` is short for `{name: adam}`
    Returns the problems; what has a problem may be half done.
    """
    place = Place(text)
    key, equals, written = text.partition("=")
    if not equals or not _KEY.fullmatch(key):
        return [Problem(place, (), f"not an override; {remark(key)}{_WRITE}")]
    tree = yaml12.parse(written, text, argument=True) if written.strip() else yaml12.Tree(None, {}, [])
    if comment := _comment(written, tree.value):
        return [Problem(place, tuple(key.split(".")), comment)]
    path, problem = put(value, key, tree.value, places, dict.fromkeys([(), *tree.places], place), blocks)
    if problem:
        return [Problem(place, path, problem)]
    return [Problem(place, path + problem.path, problem.message) for problem in tree.problems]


def conflicts(overrides: Sequence[str]) -> list[Problem]:
    """Arguments that set what an earlier one has set already, so that one of them would change nothing."""
    problems: list[Problem] = []
    keys: list[str] = []
    for text in overrides:
        key = text.partition("=")[0]
        if not _KEY.fullmatch(key):
            continue  # which `apply` reports
        for earlier in keys:
            if contains(key, earlier) and contains(earlier, key):
                problems.append(Problem(Place(text), (), f"{key} was given before; write it once"))
            elif contains(key, earlier):
                message = f"it replaces all of {key}, also {earlier} that was given before; write {key} first"
                problems.append(Problem(Place(text), (), message))
        keys.append(key)
    return problems


def contains(outer: str, inner: str) -> bool:
    """Whether a dotted key sets all of another one, or is the same: `optimizer` and `optimizer.learning_rate`."""
    parts = _parts(outer)
    return _parts(inner)[: len(parts)] == parts


def _parts(key: str) -> list[str | int]:
    """Entry 00 of a list is its entry 0."""
    return [int(part) if part.isdigit() else part for part in key.split(".")]


def _comment(written: str, value: Any) -> str | None:
    """What is wrong with an argument that YAML would cut at a `#`."""
    for match in _COMMENT.finditer(written):
        before = written[: match.start()]
        tree = yaml12.parse(before, "", argument=True) if before.strip() else yaml12.Tree(None, {}, [])
        if not tree.problems and tree.value == value:
            cut = schema.shown(written[match.start() :].strip(), 40)
            return f"YAML takes {cut} for a comment; put the value in quotes: '\"{written.strip()}\"'"
    return None


def put(
    value: dict,
    key: str,
    new: Any,
    places: dict[Path, Place],
    new_places: Mapping[Path, Place],
    blocks: Collection[str],
) -> tuple[Path, str | None]:
    """Sets what stands at the dotted `key` of `value`, and the places of what is set.

    new_places   of `new` under () and of what is inside it
    Returns the path of the key, and what is wrong if it cannot be set.
    """
    if not _KEY.fullmatch(key):
        return (), f"got {schema.shown(key, 60)}; write a key of the spec such as optimizer.learning_rate"
    parent: Any = value
    path: Path = ()
    *parents, last = key.split(".")
    for part in parents:
        path, problem = _step(parent, path, part)
        if problem is None:
            parent, problem = _inside(parent, path, blocks)
        if problem:
            return path, problem
        places.setdefault(path, new_places[()])
    path, problem = _step(parent, path, last)
    if problem:
        return path, problem
    parent[path[-1]] = new
    for inner in [known for known in places if known[: len(path)] == path]:
        del places[inner]
    places.update({path + inner: place for inner, place in new_places.items()})
    return path, None


def _step(parent: Any, path: Path, part: str) -> tuple[Path, str | None]:
    """The path of the entry `part` of `parent`, and what is wrong if a list has no such entry."""
    if isinstance(parent, dict):
        return (*path, part), None
    if part.isdigit() and int(part) < len(parent):
        return (*path, int(part)), None
    entries = f"0 to {len(parent) - 1}" if len(parent) else "none"
    return (*path, part), f"the list has no such entry; its entries are: {entries}"


def _inside(parent: Any, path: Path, blocks: Collection[str]) -> tuple[Any, str | None]:
    """The block or list at the end of `path`, and what is wrong if a plain value stands there."""
    key = path[-1]
    child = parent.get(key) if isinstance(parent, dict) else parent[key]
    is_block = path[0] in blocks and (len(path) == 1 or isinstance(key, int))
    if isinstance(child, str) and is_block:
        child = {"name": child}
    elif child is None:
        child = {}
    if not isinstance(child, dict | list):
        return child, f"is {schema.shown(child, 40)}, with no keys inside; write a shorter key"
    parent[key] = child
    return child, None
