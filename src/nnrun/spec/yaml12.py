"""A strict YAML 1.2 subset with the place of every value.

PyYAML delivers the events; the tree, the scalars and the refusals are ours, because PyYAML's own resolver
follows YAML 1.1: it reads 1e-3 as a string, 1:30 as 90, 017 as 15, on as True, and lets the last duplicate
key win.  There are no anchors, aliases, tags or second documents, so a small file is a small tree.
"""

from __future__ import annotations

import re
from typing import NamedTuple

import yaml

from nnrun.errors import one_line
from nnrun.spec import scalar
from nnrun.spec.plain import Plain
from nnrun.spec.problem import Path, Place, Problems

__all__ = ["CHECK", "MAX_BYTES", "ParsedYaml", "dump", "parse"]

MAX_BYTES = 1 << 20
CHECK = "; check quotes, colons and indentation"  # the end of what is said of YAML that cannot be read
_MAX_DEPTH = 50
_MAX_EVENTS = 10_000
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_Node = yaml.ScalarEvent | yaml.CollectionStartEvent  # what begins with one of these events

_UNREADABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")
_WORDS = {  # what libyaml says -> what to tell
    "found unexpected end of stream": "a quote is not closed; add the closing quote",
    "mapping values are not allowed in this context": "a ':' too many; put text that holds ': ' in quotes, "
    "or start a new line for the next key",
    "could not find expected ':'": "a key without ':'; write key: value",
    "did not find expected ',' or '}'": "a { } block goes wrong before this; check for a missing ',' or '}'",
    "did not find expected ',' or ']'": "a [ ] list goes wrong before this; check for a missing ',' or ']'",
    "did not find expected key": "no key where one is expected; write key: value, "
    "all keys of a block in the same column",
}


class ParsedYaml(NamedTuple):
    """A parsed document: plain data, and what is wrong with it, with the place of each value and each key."""

    value: Plain
    problems: Problems

    @property
    def places(self) -> dict[Path, Place]:
        """Where each value was written, a key of a block in place of its value."""
        return self.problems.places


class _RefusedError(Exception):
    """Reading cannot continue after the last problem."""


def parse(text: str | bytes, source: str, *, argument: bool = False) -> ParsedYaml:
    """Reads one YAML document.  Never raises for bad input: the problems are in the result.

    text      the file's bytes, or the value of an argument
    source    what messages call the document: the file's name, or the whole argument
    """
    reader = _Reader(source, argument)
    try:
        value = reader.document(_decode(text, reader))
    except _RefusedError:
        value = None
    return ParsedYaml(value, reader.problems)


def _decode(text: str | bytes, reader: _Reader) -> str:
    if len(text) > MAX_BYTES:
        raise reader.refuse(1, 1, (), f"larger than {MAX_BYTES >> 20} MiB; a spec is a few dozen lines")
    if isinstance(text, bytes):
        try:
            text = text.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            before = error.object[: error.start].decode("utf-8-sig", "replace")
            message = f"byte 0x{error.object[error.start]:02x} is not UTF-8; save the file as UTF-8"
            raise reader.refuse(*_end(before), (), message) from None
    bad = _UNREADABLE.search(text)
    if bad:
        message = f"the character U+{ord(bad[0]):04X} is not allowed in YAML; remove it"
        raise reader.refuse(*_end(text[: bad.start()]), (), message)
    return text


def _end(text: str) -> tuple[int, int]:
    """Line and column of the character behind `text`."""
    lines = (text + "x").splitlines()
    return len(lines), len(lines[-1])


class _Open(NamedTuple):
    """A mapping or sequence that is being read."""

    value: list[Plain] | dict[str, Plain]
    path: Path
    keys: list[str]  # the pending key of a mapping, at most one


def _path(parent: _Open) -> Path:
    """The path of what is read next inside `parent`; that of `parent` itself where this is a key."""
    if isinstance(parent.value, list):
        return (*parent.path, len(parent.value))
    return (*parent.path, *parent.keys)


class _Reader:
    def __init__(self, source: str, argument: bool) -> None:
        self.source = source
        self.argument = argument
        self.problems = Problems({})
        self.places = self.problems.places

    def place(self, line: int, column: int) -> Place:
        return Place(self.source) if self.argument else Place(self.source, line, column)

    def refuse(self, line: int, column: int, path: Path, message: str) -> _RefusedError:
        """Adds a problem that ends the reading; the exception that ends it."""
        self._complain(line, column, path, message)
        return _RefusedError()

    def document(self, text: str) -> Plain:
        documents: list[Plain] = []
        stack = [_Open(documents, (), [])]
        try:
            for count, event in enumerate(yaml.parse(text, Loader=_LOADER)):
                line, column = event.start_mark.line + 1, event.start_mark.column + 1
                if len(stack) > _MAX_DEPTH + 1:
                    raise self.refuse(
                        line, column, (), f"blocks more than {_MAX_DEPTH} deep; write it flatter"
                    )
                if count > _MAX_EVENTS:
                    message = f"more than {_MAX_EVENTS} values; a spec is a few dozen lines"
                    raise self.refuse(line, column, (), message)
                self._event(event, stack, line, column)
        except yaml.YAMLError as error:
            raise self._syntax(error, text) from None
        if not documents:
            raise self.refuse(1, 1, (), "the file is empty; `nnrun init` writes a starter")
        return documents[0]

    def _syntax(self, error: yaml.YAMLError, text: str) -> _RefusedError:
        mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        what = str(getattr(error, "problem", None) or getattr(error, "reason", None) or "cannot be read")
        message = _WORDS.get(what)
        if message is None and what.startswith("found character"):
            written = text.splitlines()[line - 1 : line]
            start = written[0][column - 1 : column] if written else ""
            message = {
                "\t": "a tab in the indentation; use spaces",
            }.get(start, f"a value cannot begin with {start}; put it in quotes")
        default = f"{one_line(what, 120)}{CHECK}"
        return self.refuse(line, column, (), f"not valid YAML: {message or default}")

    def _event(self, event: yaml.Event, stack: list[_Open], line: int, column: int) -> None:
        match event:
            case yaml.DocumentStartEvent() if stack[0].value:
                message = "a second document begins here; keep one document per file"
                raise self.refuse(line, column, (), message)
            case yaml.AliasEvent():
                message = "aliases (*name) are not allowed; write the value out"
                raise self.refuse(line, column, _path(stack[-1]), message)
            case yaml.ScalarEvent() | yaml.CollectionStartEvent():
                self._node(event, stack, line, column)
            case yaml.CollectionEndEvent():
                stack.pop()
            case _:
                pass

    def _node(self, event: _Node, stack: list[_Open], line: int, column: int) -> None:
        parent = stack[-1]
        path = _path(parent) if parent is not stack[0] else ()
        if event.anchor is not None:
            raise self.refuse(line, column, path, "anchors (&name) are not allowed; write the value out")
        if event.tag is not None:
            tag = one_line(event.tag, 60)
            raise self.refuse(line, column, path, f"tags ({tag}) are not allowed; write a plain value")
        if isinstance(parent.value, dict) and not parent.keys:
            parent.keys.append(self._key(event, parent, line, column))
            return
        self.places.setdefault(path, self.place(line, column))
        value = self._value(event, path, stack, line, column)
        if isinstance(parent.value, dict):
            parent.value[parent.keys.pop()] = value
        else:
            parent.value.append(value)

    def _value(self, event: _Node, path: Path, stack: list[_Open], line: int, column: int) -> Plain:
        if isinstance(event, yaml.ScalarEvent):
            return self._scalar(event, path, line, column)
        value: list[Plain] | dict[str, Plain] = {} if isinstance(event, yaml.MappingStartEvent) else []
        stack.append(_Open(value, path, []))
        return value

    def _key(self, event: _Node, parent: _Open, line: int, column: int) -> str:
        if not isinstance(event, yaml.ScalarEvent):
            raise self.refuse(line, column, parent.path, "a key is a block or a list; write a plain word")
        key = event.value
        if key == "<<" and event.implicit[0]:
            raise self.refuse(
                line, column, parent.path, "merge keys (<<) are not allowed; write the keys out"
            )
        path = (*parent.path, key)
        if key in parent.value:
            first = self.places[path]
            where = f" (first in line {first.line})" if first.line else ""
            self._complain(line, column, path, f"duplicate key{where}; keep one of them")
        self.places[path] = self.place(line, column)
        return key

    def _scalar(self, event: yaml.ScalarEvent, path: Path, line: int, column: int) -> Plain:
        if not event.implicit[0]:
            return event.value  # quoted or block text: a string, whatever it looks like
        try:
            return scalar.value(event.value)
        except ValueError as error:
            self._complain(line, column, path, str(error))
            return None

    def _complain(self, line: int, column: int, path: Path, message: str) -> None:
        self.problems.add(path, message, self.place(line, column))


class _Dumper(yaml.SafeDumper):
    """Writes text so that `parse` reads the same text: quoted where it looks like something else."""

    def ignore_aliases(self, data: object) -> bool:
        del data
        return True


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    try:
        is_plain = text.isprintable() and isinstance(scalar.value(text), str)
    except ValueError:
        is_plain = False
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=None if is_plain else '"')


_Dumper.add_representer(str, _represent_text)


def dump(value: object) -> str:
    """`value` (plain data) as YAML that `parse` reads back as the same value."""
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)
