"""What signatures in source text mean, in words: nothing is imported, so no jax.

A name is followed to where it is assigned, through imports of nnrun's modules and of files beside the file.
"""

from __future__ import annotations

import ast
import json
import re
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from nnrun.spec import docstring
from nnrun.spec.plain import Plain

__all__ = ["Option", "function", "in_yaml", "module", "options"]

_ROOT = Path(__file__).parents[1]
_WORDS = {"int": "whole number", "float": "number", "bool": "true or false", "str": "text", "Any": "anything"}
_ENDS = {"Ge": "≥", "Gt": ">", "Le": "≤", "Lt": "<"}


class Option(NamedTuple):
    """An option of an entry, or a field of a record.

    type      in words: number in [0, 1)
    required  whether it has no default
    default   as YAML data
    about     its line of the docstring
    choices   the words that it can be; () where it can be something else
    fields    of a record; the first alone is its short form
    kind      of the catalogue blocks that it holds; "" where it holds none
    """

    name: str
    type: str
    required: bool
    default: Plain
    about: str
    choices: tuple[Plain, ...] = ()
    fields: tuple[Option, ...] = ()
    kind: str = ""


class _Node(NamedTuple):
    """A piece of source text, and the file that names in it are looked up in."""

    node: ast.AST
    file: Path


@lru_cache(None)
def module(file: Path) -> ast.Module:
    """The syntax tree of a file."""
    return ast.parse(file.read_text(encoding="utf-8"))


def in_yaml(value: Plain) -> str:
    """A value as a spec writes it, on one line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {in_yaml(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, float) and value.is_integer():
        return f"{value:g}"
    is_word = isinstance(value, str) and re.fullmatch(r"[\w.-]+( [\w.-]+)*", value)
    return str(value) if is_word else json.dumps(value, ensure_ascii=False)


def function(file: Path, name: str) -> ast.FunctionDef:
    """The function of this name in a file.  Raises LookupError."""
    for node in module(file).body:
        if isinstance(node, ast.FunctionDef) and node.name == name:
            return node
    raise LookupError(f"{file} has no function {name}")


@lru_cache(None)
def options(file: Path, name: str) -> tuple[Option, ...]:
    """The parameters of a function as options.  Raises LookupError."""
    node = function(file, name)
    arguments = node.args
    defaults = [None] * (len(arguments.args) - len(arguments.defaults)) + list(arguments.defaults)
    known = arguments.args + arguments.kwonlyargs
    about = docstring.arguments(ast.get_docstring(node), [argument.arg for argument in known])
    return tuple(
        _option(argument.arg, argument.annotation, default, about.get(argument.arg, ""), file)
        for argument, default in zip(known, [*defaults, *arguments.kw_defaults], strict=True)
    )


def _option(
    name: str, annotation: ast.expr | None, default: ast.expr | None, about: str, file: Path
) -> Option:
    """An option from its place in a signature, or in the class of a record."""
    if annotation is None:
        return Option(name, "anything", default is None, _value(default, file), about)
    place = _Node(annotation, file)
    record = _record(place)
    fields = () if record is None else tuple(_fields(record))
    choices = fields[0].choices if fields else _choices(place)
    return Option(
        name, _words(place), default is None, _value(default, file), about, choices, fields, _kind(place)
    )


def _kind(place: _Node) -> str:
    """The kind of the blocks that an option holds; "" where it holds none."""
    for part in _alternatives(place):
        for node in ast.walk(part.node):
            match node:
                case ast.Call(func=ast.Name(id="Entry" | "EntryMark"), args=[ast.Constant(value=str(kind))]):
                    return kind
                case ast.Name(id=name) if (target := _definition(name, part.file)) and (
                    kind := _kind(target)
                ):
                    return kind
    return ""


def _fields(record: _Node) -> list[Option]:
    """The fields of a record's class."""
    assert isinstance(record.node, ast.ClassDef)
    lines = [line for line in record.node.body if isinstance(line, ast.AnnAssign)]
    names = [ast.unparse(line.target) for line in lines]
    about = docstring.arguments(ast.get_docstring(record.node), names)
    return [
        _option(name, line.annotation, line.value, about.get(name, ""), record.file)
        for name, line in zip(names, lines, strict=True)
    ]


@lru_cache(None)
def _definition(name: str, file: Path) -> _Node | None:
    """Where a name of a module is defined: a class, or what is assigned to it."""
    for node in module(file).body:
        match node:
            case ast.ClassDef(name=known) if known == name:
                return _Node(node, file)
            case ast.Assign(targets=[ast.Name(id=known)], value=value) if known == name:
                return _Node(value, file)
            case ast.ImportFrom(module=str(origin), names=aliases) if origin.startswith("nnrun."):
                for alias in aliases:
                    if (alias.asname or alias.name) == name:
                        return _definition(
                            alias.name, _ROOT.joinpath(*origin.split(".")[1:]).with_suffix(".py")
                        )
    return None


def _alternatives(place: _Node) -> list[_Node]:
    """The parts of `A | B`, each behind the names that lead to it."""
    match place.node:
        case ast.BinOp(op=ast.BitOr(), left=left, right=right):
            return [part for side in (left, right) for part in _alternatives(_Node(side, place.file))]
        case ast.Name(id=name):
            target = None if name in _WORDS else _definition(name, place.file)
            return [place] if target is None else _alternatives(target)
    return [place]


def _record(place: _Node) -> _Node | None:
    """The class of the record that an annotation names."""
    for part in _alternatives(place):
        if isinstance(part.node, ast.ClassDef) and "NamedTuple" in map(ast.unparse, part.node.bases):
            return part
    return None


def _choices(place: _Node) -> tuple[Plain, ...]:
    match [part.node for part in _alternatives(place)]:
        case [ast.Subscript(value=ast.Name(id="Literal"), slice=inner)]:
            return tuple(ast.literal_eval(item) for item in _items(inner))
    return ()


def _words(place: _Node) -> str:
    """A type in words."""
    words = [word for part in _alternatives(place) for word in _each(part)]
    *others, last = dict.fromkeys(words)
    return f"{', '.join(others)} or {last}" if others else last


def _each(part: _Node) -> list[str]:
    """The alternatives of a type that is no union."""
    match part.node:
        case ast.Constant(value=None):
            return ["null"]
        case ast.Name(id=name):
            return _WORDS.get(name, name).split(" or ")
        case ast.ClassDef():
            return [_fields(part)[0].type]
        case ast.Subscript(value=ast.Name(id="Literal"), slice=inner):
            return [in_yaml(ast.literal_eval(item)) for item in _items(inner)]
        case ast.Subscript(value=ast.Name(id="dict"), slice=ast.Tuple(elts=[_, inner])):
            return [f"{{name: {_words(_Node(inner, part.file))}, ...}}"]
        case ast.Subscript(value=ast.Name(id="list"), slice=inner):
            return [f"[{_words(_Node(inner, part.file))}, ...]"]
        case ast.Subscript(value=ast.Name(id="Annotated"), slice=ast.Tuple(elts=[base, *marks])):
            return [_marked(_words(_Node(base, part.file)), marks)]
        case ast.Call(func=ast.Name(id="Entry"), args=[ast.Constant(value=kind)]):
            return [f"a {kind}"]
    return [ast.unparse(part.node)]


def _marked(words: str, marks: list[ast.expr]) -> str:
    """The words for a type with marks: ranges, durations, paths, blocks."""
    calls = [(ast.unparse(mark.func), mark.args) for mark in marks if isinstance(mark, ast.Call)]
    ends = {name: ast.unparse(arguments[0]) for name, arguments in calls if name in _ENDS}
    for name, arguments in calls:
        if name == "EntryMark":
            return f"a {ast.literal_eval(arguments[0])}"
        if name in ("StepsMark", "FilePathMark"):
            return "duration" if name == "StepsMark" else "path"
    if len(ends) == 2:
        low = f"[{ends['Ge']}" if "Ge" in ends else f"({ends['Gt']}"
        return f"{words} in {low}, {ends['Le']}]" if "Le" in ends else f"{words} in {low}, {ends['Lt']})"
    return words + "".join(f" {_ENDS[name]} {end}" for name, end in ends.items())


def _items(node: ast.expr) -> list[ast.expr]:
    return node.elts if isinstance(node, ast.Tuple) else [node]


def _value(default: ast.expr | None, file: Path) -> Plain:
    """A default as YAML data: of a record its first field alone, where that is all it is made with."""
    match default:
        case None:
            return None
        case ast.Name(id=name):
            target = _definition(name, file)
            return (
                name
                if target is None or not isinstance(target.node, ast.expr)
                else _value(target.node, target.file)
            )
        case ast.Call(args=[first], keywords=[]):
            return _value(first, file)
        case ast.Call(func=func, args=arguments, keywords=keywords):
            record = _record(_Node(func, file))
            names = [field.name for field in _fields(record)] if record else []
            named = {str(keyword.arg): keyword.value for keyword in keywords}
            values = dict(zip(names, arguments, strict=False)) | named
            return {name: _value(value, file) for name, value in values.items()}
    try:
        return ast.literal_eval(default)
    except ValueError:
        return ast.unparse(default)
