"""`key.path=value` arguments of the command line, applied to the plain data of a spec."""

from __future__ import annotations

import itertools
import re
import shlex
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TypeAlias

from nnrun.errors import SpecError, remark
from nnrun.spec import schema, yaml12
from nnrun.spec.plain import Block, Plain, entry, in_full
from nnrun.spec.problem import Path, Place, Problems

__all__ = ["ShortField", "UnreachableError", "apply", "as_list", "conflicts", "contains", "no_records", "put"]

ShortField: TypeAlias = Callable[[Block, Path], str | None]

_KEY = re.compile(r"\w+(\.\w+){0,19}", re.ASCII)
_COMMENT = re.compile(r"(?:^|\s)#")
_SHORT = 80  # characters that are shown again in quotes
_WRITE = "write key.path=value, such as optimizer.learning_rate=3e-4"


class UnreachableError(LookupError):
    """A key leads to nothing that could be set.

    path   as far as it leads
    """

    def __init__(self, path: Path, message: str) -> None:
        super().__init__(message)
        self.path = path


def no_records(value: Block, path: Path) -> None:
    """No option of these blocks is a record."""
    del value, path


def apply(
    value: Block,
    text: str,
    problems: Problems,
    blocks: Collection[str],
    short_field: ShortField = no_records,
) -> None:
    """Sets one `key=value` in `value` and its places; numbers in the key count the entries of a list from 0.

    value        changed in place; blocks on the way that were not written are made
    problems     of the value; what has a problem may be half done
    blocks       the top-level keys that hold catalogue blocks, where `adam` is short for `{name: adam}`
    short_field  value, path of an option -> the field that it is short for, of a record; None for other options
    """
    place = Place(text)
    key, equals, written = text.partition("=")
    if not equals or not _KEY.fullmatch(key):
        problems.add((), f"not an override; {remark(key)}{_WRITE}", place)
        return
    tree = _parsed(written, text)
    if comment := _comment(written, tree.value):
        problems.add(tuple(key.split(".")), comment, place)
        return
    try:
        new_places = dict.fromkeys([(), *tree.places], place)
        path = put(value, key, tree.value, problems.places, new_places, blocks, short_field)
    except UnreachableError as error:
        problems.add(error.path, str(error), place)
        return
    for problem in tree.problems:
        message = problem.message
        if message.endswith(yaml12.CHECK) and written.isprintable() and len(written) < _SHORT:
            message = (
                message.removesuffix(yaml12.CHECK) + f"; for text, put it in quotes: {_quoted(key, written)}"
            )
        problems.add(path + problem.path, message, place)


def _quoted(key: str, written: str) -> str:
    """The argument whose value is text, as a shell takes it."""
    value = "'{}'".format(written.strip().replace("'", "''")) if '"' in written else f'"{written.strip()}"'
    return shlex.quote(f"{key}={value}")


def _parsed(written: str, text: str) -> yaml12.ParsedYaml:
    """The value of an argument; nothing behind the `=` is null."""
    return (
        yaml12.parse(written, text, argument=True)
        if written.strip()
        else yaml12.ParsedYaml(None, Problems({}))
    )


def as_list(overrides: Sequence[str]) -> list[str]:
    """The overrides that a caller from Python gives.  Raises SpecError for one text, whose letters they would be."""
    if isinstance(overrides, str):
        raise SpecError(f"overrides: got {schema.shown(overrides)}; write a list: [{overrides!r}]")
    return list(overrides)


def conflicts(overrides: Sequence[str], problems: Problems) -> None:
    """Adds the arguments that set what an earlier one has set already, so that one of them would change nothing."""
    keys: list[str] = []
    for text in overrides:
        key = text.partition("=")[0]
        if not _KEY.fullmatch(key):
            continue  # which `apply` reports
        for earlier in keys:
            if contains(key, earlier) and contains(earlier, key):
                problems.add((), f"{key} was given before; write it once", Place(text))
            elif contains(key, earlier):
                message = f"it replaces all of {key}, also {earlier} that was given before; write {key} first"
                problems.add((), message, Place(text))
        keys.append(key)


def contains(outer: str, inner: str) -> bool:
    """Whether a dotted key sets all of another one, or is the same: `optimizer` and `optimizer.learning_rate`."""
    parts = _parts(outer)
    return _parts(inner)[: len(parts)] == parts


def _parts(key: str) -> list[str | int]:
    """Entry 00 of a list is its entry 0."""
    return [int(part) if part.isdigit() else part for part in key.split(".")]


def _comment(written: str, value: Plain) -> str | None:
    """What is wrong with an argument that YAML would cut at a `#`."""
    for match in _COMMENT.finditer(written):
        tree = _parsed(written[: match.start()], "")
        if not tree.problems and tree.value == value:
            cut = schema.shown(written[match.start() :].strip(), 40)
            return f"YAML takes {cut} for a comment; put the value in quotes: '\"{written.strip()}\"'"
    return None


def put(
    value: Block,
    key: str,
    new: Plain,
    places: dict[Path, Place],
    new_places: Mapping[Path, Place],
    blocks: Collection[str],
    short_field: ShortField = no_records,
) -> Path:
    """Sets what stands at the dotted `key` of `value`, and the places of what is set.

    new_places   of `new` under () and of what is inside it
    blocks, short_field   as of `apply`
    Returns the path of the key.  Raises UnreachableError, where blocks on the way may have been made.
    """
    if not _KEY.fullmatch(key):
        message = f"got {schema.shown(key, 60)}; write a key of the spec such as optimizer.learning_rate"
        raise UnreachableError((), message)
    parent: Block | list[Plain] = value
    path: Path = ()
    *parents, last = key.split(".")
    for part, following in itertools.pairwise([*parents, last]):
        path = _step(parent, path, part)
        places.setdefault(path, new_places[()])
        if (field := _short(parent, path, following, value, short_field)) is not None:
            _set(parent, path[-1], {field: entry(parent, path[-1])})
            places[*path, field] = places[path]
        parent = _inside(parent, path, blocks)
    path = _step(parent, path, last)
    _set(parent, path[-1], new)
    for inner in [known for known in places if known[: len(path)] == path]:
        del places[inner]
    places.update({path + inner: place for inner, place in new_places.items()})
    return path


def _step(parent: Block | list[Plain], path: Path, part: str) -> Path:
    """The path of the entry `part` of `parent`, which stands at `path`; a list may have no such entry."""
    if isinstance(parent, dict):
        return (*path, part)
    if part.isdigit() and int(part) < len(parent):
        return (*path, int(part))
    entries = f"0 to {len(parent) - 1}" if len(parent) else "none"
    raise UnreachableError((*path, part), f"the list has no such entry; its entries are: {entries}")


def _short(
    parent: Block | list[Plain], path: Path, following: str, value: Block, short_field: ShortField
) -> str | None:
    """The field that the entry at `path` is short for, where it is a record written as its first field alone.

    following   the part of the key behind it, which may be the number of an entry of a list
    """
    child = entry(parent, path[-1])
    is_short = child is not None and not isinstance(child, dict)
    is_entry = isinstance(child, list) and following.isdigit()
    return short_field(value, path) if is_short and not is_entry else None


def _inside(parent: Block | list[Plain], path: Path, blocks: Collection[str]) -> Block | list[Plain]:
    """The block or list at the end of `path`, which may have to be made; a plain value may stand there."""
    key = path[-1]
    child = entry(parent, key)
    if path[0] in blocks and (len(path) == 1 or isinstance(key, int)):
        child = in_full(child)
    child = {} if child is None else child
    if not isinstance(child, dict | list):
        message = f"is {schema.shown(child, 40)}, with no keys inside; write a shorter key"
        raise UnreachableError(path, message)
    _set(parent, key, child)
    return child


def _set(parent: Block | list[Plain], key: str | int, value: Plain) -> None:
    """An entry of a block, or one that a list has, set to `value`."""
    if isinstance(parent, dict):
        parent[str(key)] = value
    else:
        parent[int(key)] = value
