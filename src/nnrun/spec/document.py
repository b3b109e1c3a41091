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

from pydantic import BaseModel

from nnrun.errors import SpecError, one_line
from nnrun.spec import models, override, schema, yaml12
from nnrun.spec.plain import Block, Plain, in_full
from nnrun.spec.problem import Path, Place, Problems
from nnrun.spec.sections import SECTIONS, home_of

__all__ = ["BLOCKS", "LISTS", "TRACK", "Document", "content", "from_data", "name_of", "read"]

BLOCKS = {  # key -> what stands there when it is left out; None: it must be written
    "data": None,
    "model": None,
    "loss": "cross_entropy",
    "optimizer": None,
    "schedule": "constant",
}
LISTS = {  # keys that hold any number of blocks, one alone needs no list; and of what kind those are
    "augment": "augment",
    "penalty": "penalty",
    "average": "average",
    "metrics": "metric",
}
TRACK = "track"  # holds any number of trackers: where a run is sent, and no part of what it is
_NAME = re.compile(r"(?!\.)[A-Za-z0-9._-]{1,40}")


class Document(NamedTuple):
    """A spec as written: its top-level keys checked, its catalogue blocks not yet."""

    name: str
    blocks: dict[str, Block]
    lists: dict[str, list[tuple[Path, Plain]]]  # the blocks of each key in LISTS, with where they stand
    track: list[tuple[Path, Plain]]  # the trackers, with where they stand
    sections: dict[str, Any]  # the models of SECTIONS; None: a problem says what is wrong with it
    problems: Problems
    folder: FileSystemPath  # what relative paths in the spec are relative to
    text: str

    @property
    def places(self) -> dict[Path, Place]:
        """Where its values were written."""
        return self.problems.places


def read(
    path: FileSystemPath,
    overrides: Sequence[str] = (),
    short_field: override.ShortField = override.no_records,
) -> Document:
    """Reads a spec file and applies `key=value` overrides.

    short_field   see `override.apply`; `catalog.read` knows it

    Raises SpecError where the file cannot be opened or is a sweep file, and for overrides that are one text;
    every mistake inside it goes to `problems`.
    """
    overrides, data = override.as_list(overrides), content(path)
    tree = yaml12.parse(data, str(path))
    value, problems = tree.value, tree.problems
    if not isinstance(value, dict):
        if not problems:
            message = f"got {schema.shown(value)}; write keys such as `model: {{name: mlp, hidden: [128]}}`"
            problems.add((), message, Place(str(path), 1, 1))
        return Document("", {}, {}, [], {}, problems, path.parent.absolute(), "")
    if "sweep" in value and not value.keys() & BLOCKS.keys():
        command = f"nnrun sweep {shlex.quote(one_line(path))}"
        raise SpecError(
            f"{problems.place_of(('sweep',))}: sweep: this is a sweep file; `{command}` carries it out"
        )
    override.conflicts(overrides, problems)
    for text in overrides:
        override.apply(value, text, problems, [*BLOCKS, *LISTS, TRACK], short_field)
    return from_data(value, problems, path, data.decode("utf-8", "replace"))


def from_data(value: Block, problems: Problems, path: FileSystemPath, text: str) -> Document:
    """The spec that plain data say, whoever put them together.

    problems   what is wrong with them so far, and their places; what else is wrong is added
    path       the file that they come from: it names the run, and paths are relative to its folder
    text       the data as YAML
    """
    sections = _sections(value, problems)
    blocks = _blocks(value, problems)
    lists = {key: _list(key, value.get(key)) for key in LISTS}
    track = _list(TRACK, value.get(TRACK))
    name = name_of(value, path, problems)
    _check_keys(value, problems)
    return Document(name, blocks, lists, track, sections, problems, path.parent.absolute(), text)


def content(path: FileSystemPath) -> bytes:
    """The bytes of a YAML file, but no more than show that it is too large.  Raises SpecError."""
    if path.suffix.lower() in _OF_DATA and path.is_file():
        kind, example = _OF_DATA[path.suffix.lower()]
        raise SpecError(
            f"{one_line(path)}: is {kind}, not a spec; `nnrun init my_spec.yaml` writes one: put data: "
            f"{{name: {example.format(shlex.quote(one_line(path)))}}} into it"
        )
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


_TABLE = "{}, path: {{}}, target: COLUMN"
_OF_DATA = {
    ".csv": ("a table", _TABLE.format("csv")), ".tsv": ("a table", _TABLE.format("csv") + ', delimiter: "\\t"'),
    ".parquet": ("a table", _TABLE.format("parquet")), ".feather": ("a table", _TABLE.format("parquet")),
    ".npz": ("an archive of arrays", "npz, path: {}"),
}  # fmt: skip


def _other_file(path: FileSystemPath) -> str:
    """A remedy for a file that is not there: the file of that folder with the nearest name."""
    try:
        known = [file.name for file in path.parent.iterdir() if file.suffix in (".yaml", ".yml")]
    except OSError:
        known = []
    close = difflib.get_close_matches(path.name, sorted(known), n=1)
    return f"did you mean {one_line(path.parent / close[0])}?" if close else "`nnrun init` writes a starter"


def _check_keys(value: Block, problems: Problems) -> None:
    known = ["name", *BLOCKS, *LISTS, *SECTIONS, TRACK]
    for key in value:
        if key not in known:
            problems.add((key,), f"unknown key; {_known(key, known)}")


def _known(key: str, known: list[str]) -> str:
    block, dot, rest = key.partition(".")
    if dot and block in known:
        return f"dots are for the command line, write {block}: {{{one_line(rest, 40)}: ...}}"
    home = home_of(key)
    return f"it belongs inside {home}" if home else schema.nearest(key, known)


def name_of(value: Block, path: FileSystemPath, problems: Problems) -> str:
    """The name of a spec, by default that of its file; "" for one that a problem says what is wrong with."""
    name = value.get("name")
    if name is None:
        name = re.sub(r"[^A-Za-z0-9._-]", "-", path.stem).lstrip(".")[:40] or "run"
    if isinstance(name, str) and _NAME.fullmatch(name):
        return name
    message = f"got {schema.shown(name)}; write 1 to 40 letters, digits, '.', '_' or '-', no dot first"
    problems.add(("name",), message)
    return ""


def _sections(value: Block, problems: Problems) -> dict[str, Any]:
    sections: dict[str, Any] = {}
    for key, model in SECTIONS.items():
        block, inside = {} if value.get(key) is None else value[key], problems.inside((key,))
        sections[key] = schema.check(model, _without_strangers(block, model, inside), inside)
    return sections


def _without_strangers(block: Plain, model: type[BaseModel], problems: Problems) -> Plain:
    """A section without the keys of other sections; a problem says where each belongs."""
    if not isinstance(block, dict):
        return block
    homes = {key: home_of(key) for key in block if key not in models.keys(model)}
    for key, home in homes.items():
        if home:
            problems.add((key,), f"unknown key; it belongs inside {home}")
    return {key: value for key, value in block.items() if not homes.get(key)}


def _blocks(value: Block, problems: Problems) -> dict[str, Block]:
    blocks: dict[str, Block] = {}
    for key, default in BLOCKS.items():
        block = in_full(value.get(key, default))
        if isinstance(block, dict):
            blocks[key] = block if default is None or "name" in block else {"name": default, **block}
            continue
        what = f"got {schema.shown(block)}" if key in value else "missing"
        message = f"{what}; write `{key}: {{name: ...}}`, see `nnrun list {key}` for the names"
        problems.add((key,), message)
    return blocks


def _list(key: str, value: Plain) -> list[tuple[Path, Plain]]:
    if value is None:
        return []
    if isinstance(value, list):
        return [((key, i), block) for i, block in enumerate(value)]
    return [((key,), value)]
