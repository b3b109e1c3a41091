"""The spec file and its overrides: plain data with places.

read(path, overrides) -> Document        never raises for what is written in the file
catalog.bind(document) -> Spec           raises SpecError with all problems at once
"""

from __future__ import annotations

import difflib
import re
import shlex
from collections.abc import Sequence
from pathlib import Path as FileSystemPath
from typing import Any, NamedTuple

from nnrun.errors import SpecError, one_line
from nnrun.spec import override, schema, yaml12
from nnrun.spec.problem import Path, Place, Problem, place_of
from nnrun.spec.sections import COMMON, SECTIONS

__all__ = ["BLOCKS", "LISTS", "Document", "content", "from_data", "name_of", "read"]

BLOCKS = {  # key -> what stands there when it is left out; None: it must be written
    "data": None,
    "model": None,
    "loss": "cross_entropy",
    "optimizer": None,
    "schedule": "constant",
}
LISTS = ("augment", "penalty", "average")  # keys that hold any number of blocks; one alone needs no list
_NAME = re.compile(r"(?!\.)[A-Za-z0-9._-]{1,40}")


class Document(NamedTuple):
    """A spec as written: its top-level keys checked, its catalogue blocks not yet."""

    name: str
    blocks: dict[str, dict[str, Any]]
    lists: dict[str, list[tuple[Path, Any]]]  # the blocks of each key in LISTS, with where they stand
    sections: dict[str, Any]
    places: dict[Path, Place]
    problems: list[Problem]
    folder: FileSystemPath  # what relative paths in the spec are relative to
    text: str


def read(path: FileSystemPath, overrides: Sequence[str] = ()) -> Document:
    """Reads a spec file and applies `key=value` overrides.

    Raises SpecError where the file cannot be opened or is a sweep file; every mistake inside it goes to `problems`.
    """
    data = content(path)
    tree = yaml12.parse(data, str(path))
    value, problems, places = tree.value, list(tree.problems), tree.places
    if not isinstance(value, dict):
        message = f"got {schema.shown(value)}; write keys such as `model: {{name: mlp, hidden: [128]}}`"
        problems = problems or [Problem(Place(str(path), 1, 1), (), message)]
        return Document("", {}, {}, {}, places, problems, path.parent.absolute(), "")
    if "sweep" in value and not value.keys() & BLOCKS.keys():
        command = f"nnrun sweep {shlex.quote(one_line(path))}"
        raise SpecError(
            f"{place_of(('sweep',), places)}: sweep: this is a sweep file; `{command}` carries it out"
        )
    problems += override.conflicts(overrides)
    for text in overrides:
        problems += override.apply(value, text, places, [*BLOCKS, *LISTS])
    return from_data(value, places, problems, path, data.decode("utf-8", "replace"))


def from_data(
    value: dict, places: dict[Path, Place], problems: list[Problem], path: FileSystemPath, text: str
) -> Document:
    """The spec that plain data say, whoever put them together.

    problems   what is wrong with them so far
    path       the file that they come from: it names the run, and paths are relative to its folder
    text       the data as YAML
    """
    sections, bad_sections = _sections(value, places)
    blocks, bad_blocks = _blocks(value, places)
    name, bad_name = name_of(value, path, places)
    all_problems = problems + bad_sections + bad_blocks + bad_name + _unknown(value, places)
    lists = {key: _list(key, value.get(key)) for key in LISTS}
    return Document(name, blocks, lists, sections, places, all_problems, path.parent.absolute(), text)


def content(path: FileSystemPath) -> bytes:
    """The bytes of a YAML file, but no more than show that it is too large.  Raises SpecError."""
    try:
        with path.open("rb") as file:
            return file.read(yaml12.MAX_BYTES + 1)
    except FileNotFoundError:
        raise SpecError(f"{one_line(path)}: no such file; {_other_file(path)}") from None
    except IsADirectoryError:
        raise SpecError(f"{one_line(path)}: is a folder; {_other_file(path / 'spec.yaml')}") from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        reason = (getattr(error, "strerror", None) or str(error)).lower()
        raise SpecError(f"{one_line(path)}: {one_line(reason)}; check the path") from None


def _other_file(path: FileSystemPath) -> str:
    """A remedy for a file that is not there: the file of that folder with the nearest name."""
    try:
        known = [file.name for file in path.parent.iterdir() if file.suffix in (".yaml", ".yml")]
    except OSError:
        known = []
    close = difflib.get_close_matches(path.name, sorted(known), n=1)
    return f"did you mean {one_line(path.parent / close[0])}?" if close else "`nnrun init` writes a starter"


def _unknown(value: dict, places: dict[Path, Place]) -> list[Problem]:
    known = ["name", *BLOCKS, *LISTS, *SECTIONS]
    return [
        Problem(place_of((key,), places), (key,), f"unknown key; {_known(key, known)}")
        for key in value
        if key not in known
    ]


def _known(key: str, known: list[str]) -> str:
    block, dot, rest = key.partition(".")
    if dot and block in known:
        return f"dots are for the command line, write {block}: {{{one_line(rest, 40)}: ...}}"
    owners = [name for name, model in {**SECTIONS, **COMMON}.items() if key in schema.keys(model)]
    return f"it belongs inside {owners[0]}" if owners else schema.nearest(key, known)


def name_of(value: dict, path: FileSystemPath, places: dict[Path, Place]) -> tuple[str, list[Problem]]:
    """The name of a spec, by default that of its file, and what is wrong with it."""
    name = value.get("name")
    if name is None:
        name = re.sub(r"[^A-Za-z0-9._-]", "-", path.stem).lstrip(".")[:40] or "run"
    if isinstance(name, str) and _NAME.fullmatch(name):
        return name, []
    message = f"got {schema.shown(name)}; write 1 to 40 letters, digits, '.', '_' or '-', no dot first"
    return "", [Problem(place_of(("name",), places), ("name",), message)]


def _sections(value: dict, places: dict[Path, Place]) -> tuple[dict[str, Any], list[Problem]]:
    sections: dict[str, Any] = {}
    problems: list[Problem] = []
    for key, model in SECTIONS.items():
        block = {} if value.get(key) is None else value[key]
        sections[key], mistakes = schema.check(model, block, (key,), places)
        problems += mistakes
    return sections, problems


def _blocks(value: dict, places: dict[Path, Place]) -> tuple[dict[str, dict[str, Any]], list[Problem]]:
    blocks: dict[str, dict[str, Any]] = {}
    problems: list[Problem] = []
    for key, default in BLOCKS.items():
        block = value.get(key, default)
        if isinstance(block, str):
            block = {"name": block}
        if isinstance(block, dict):
            blocks[key] = block if default is None or "name" in block else {"name": default, **block}
            continue
        what = f"got {schema.shown(block)}" if key in value else "missing"
        message = f"{what}; write `{key}: {{name: ...}}`, see `nnrun list {key}` for the names"
        problems.append(Problem(place_of((key,), places), (key,), message))
    return blocks, problems


def _list(key: str, value: Any) -> list[tuple[Path, Any]]:
    if value is None:
        return []
    return (
        [((key, i), block) for i, block in enumerate(value)] if isinstance(value, list) else [((key,), value)]
    )
