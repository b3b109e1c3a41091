"""The catalogue: the folder is the registry, a function's signature is the schema of its YAML block.

`model: {name: mlp, hidden: [128]}` is the function `mlp` in `nnrun/model/mlp.py`; `name: mine:net` is the
function `net` of the file `mine.py` beside the spec (that runs the user's code).

Wrong names are found in the source text of the catalogue (`listing`), which needs no jax; a function is
imported when the values of its options are checked.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path as FileSystemPath
from typing import Any

from pydantic import BaseModel

from nnrun import spec
from nnrun.catalog import bound, user_code
from nnrun.catalog.bound import Bound
from nnrun.catalog.checked import Spec, is_own, unread
from nnrun.catalog.listing import SUPPLIED, described, entries, kinds_of, names, parameters
from nnrun.errors import SpecError, first_line, one_line
from nnrun.spec import schema
from nnrun.spec.problem import Path, Place, Problem, place_of, refusal

__all__ = [
    "bind",
    "bind_block",
    "bind_one",
    "check_names",
    "find",
]


def find(kind: str, name: str, folder: FileSystemPath | None = None) -> Callable:
    """The function behind a name; `module:function` is the user's own, beside the spec or in a package.

    Raises LookupError with what to write instead.
    """
    if user_code.is_user_name(name):
        return user_code.find(name, folder or FileSystemPath.cwd())
    if name not in names(kind):
        raise LookupError(_no_such(kind, name))
    return getattr(importlib.import_module(f"nnrun.{kind}.{name}"), name)


def check_names(document: spec.Document) -> None:
    """Raises SpecError with all problems that can be seen without importing an entry, hence without jax."""
    problems = list(document.problems)
    for key, block in document.blocks.items():
        problems += _check_names(key, block, (key,), document.places)
    for key, blocks in document.lists.items():
        for path, block in blocks:
            problems += _check_names(key, block, path, document.places)
    _stop(problems, document)


def bind(document: spec.Document, with_data: bool = True) -> Spec:
    """Checks every block against the signature that it names.

    with_data   False: the data will not be read, so a loader of the user's own is not imported
    Raises SpecError with all problems found: first those of `check_names`, then the values of the options.
    """
    check_names(document)
    problems: list[Problem] = []
    bound_blocks = {
        key: _bind(key, block, (key,), document, problems)
        for key, block in document.blocks.items()
        if key != "data" or with_data or not is_own(block)
    }
    bound_blocks.setdefault("data", unread(document))
    lists = {
        key: [_bind(key, block, path, document, problems) for path, block in several]
        for key, several in document.lists.items()
    }
    _stop(problems, document)
    blocks = {key: block for key, block in bound_blocks.items() if block is not None}
    return Spec(
        name=document.name,
        data=blocks["data"],
        model=blocks["model"],
        loss=blocks["loss"],
        optimizer=blocks["optimizer"],
        schedule=blocks["schedule"],
        augment=[block for block in lists["augment"] if block is not None],
        penalty=[block for block in lists["penalty"] if block is not None],
        average=[block for block in lists["average"] if block is not None],
        train=document.sections["train"],
        checkpoint=document.sections["checkpoint"],
        document=document,
    )


def bind_one(kind: str, text: str, folder: FileSystemPath) -> Bound:
    """One block from text as in a spec: `adam` or `{name: adam, learning_rate: 0.1}`.  Raises SpecError."""
    tree = spec.parse(text, text, argument=True)
    if tree.problems:
        raise refusal(tree.problems, tree.places)
    return bind_block(kind, tree.value, (kind,), tree.places, folder)


def bind_block(kind: str, block: Any, path: Path, places: dict[Path, Place], folder: FileSystemPath) -> Bound:
    """A block of plain data that stands at `path` of some file.  Raises SpecError."""
    document = spec.Document("", {}, {}, {}, places, [], folder, "")
    problems: list[Problem] = []
    block_bound = _bind(kind, block, path, document, problems)
    _stop(problems, document)
    if block_bound is None:
        raise SpecError(f"{one_line(block, 60)}: not a block; write a name or {{name: ...}}")
    return block_bound


def _stop(problems: list[Problem], document: spec.Document) -> None:
    if problems:
        raise refusal(problems, document.places)


def _no_such(kind: str, name: str) -> str:
    elsewhere = kinds_of(name)
    what = f", it is {described(elsewhere)}" if elsewhere and kind not in elsewhere else ""
    return f"there is no {kind} {schema.shown(name, 40)}{what}; {schema.nearest(name, names(kind))}"


def _check_names(kind: str, block: Any, path: Path, places: dict[Path, Place]) -> list[Problem]:
    """What is wrong with a block, and the blocks inside it, as far as names go."""
    if isinstance(block, str):
        block = {"name": block}
    if not isinstance(block, dict):
        message = f"got {schema.shown(block)}; write a block such as {{name: ...}}, see `nnrun list {kind}`"
        return [Problem(place_of(path, places), path, message)]
    name = block.get("name")
    if isinstance(name, str) and user_code.is_user_name(name):
        return []  # the user's own code is looked at when it is imported
    if not isinstance(name, str) or name not in names(kind):
        where = (*path, "name")
        if isinstance(name, str):
            message = _no_such(kind, name)
        else:
            what = f"got {schema.shown(name)}" if "name" in block else "missing"
            message = f"{what}; {schema.nearest('', names(kind))}"
        return [Problem(place_of(where, places), where, message)]
    return _check_keys(kind, block, path, places)


def _check_keys(kind: str, block: dict[str, Any], path: Path, places: dict[Path, Place]) -> list[Problem]:
    name = block["name"]
    common = schema.keys(spec.COMMON[kind]) if _has_common(kind, path) else ()
    known = [*parameters(kind, name), *common]
    problems: list[Problem] = []
    for key in block:
        if key in SUPPLIED.get(kind, ()):
            problems.append(
                Problem(place_of((*path, key), places), (*path, key), "nnrun sets this; remove it")
            )
        elif key not in ("name", *known):
            message = f"unknown key; {schema.nearest(key, known)}"
            problems.append(Problem(place_of((*path, key), places), (*path, key), message))
    for key, inner in entries(kind, name).items():
        value = block.get(key)
        if isinstance(value, list):
            for i, item in enumerate(value):
                problems += _check_names(inner, item, (*path, key, i), places)
        elif value is not None:
            problems += _check_names(inner, value, (*path, key), places)
    return problems


def _has_common(kind: str, path: Path) -> bool:
    """Whether a block takes the common keys of its kind: those of the data and schedule are about the run."""
    return kind in spec.COMMON and (len(path) == 1 or kind == "optimizer")


def _bind(
    kind: str, block: Any, path: Path, document: spec.Document, problems: list[Problem]
) -> Bound | None:
    """The block bound to its function, or None with the reasons appended to `problems`."""
    places = document.places
    wrong = _check_names(kind, block, path, places)  # news only for blocks inside the user's own
    if wrong:
        problems += wrong
        return None
    block = {"name": block} if isinstance(block, str) else block
    try:
        function, model = _resolve(kind, block["name"], document.folder)
    except LookupError as error:
        problems.append(Problem(place_of((*path, "name"), places), (*path, "name"), str(error.args[0])))
        return None
    options_written = {key: value for key, value in block.items() if key != "name"}
    common: dict[str, Any] = {}
    if _has_common(kind, path):
        shared = set(schema.keys(spec.COMMON[kind])) - set(schema.keys(model))
        written = {key: options_written.pop(key) for key in shared & set(options_written)}
        common_values, wrong = schema.check(spec.COMMON[kind], written, path, places)
        values = schema.values(common_values) if common_values else {}
        common = {key: value for key, value in values.items() if key in shared}
    checked, mistakes = schema.check(model, options_written, path, places)
    problems += wrong + mistakes
    if checked is None or wrong:
        return None
    options = {
        key: _arrived(value, key, function, path, document, problems)
        for key, value in schema.values(checked).items()
    }
    return Bound(kind, block["name"], function, options, common)


def _resolve(kind: str, name: str, folder: FileSystemPath) -> tuple[Callable, type[BaseModel]]:
    """The function behind a name and the model of its options; LookupError with what to write instead."""
    function = find(kind, name, folder)
    try:
        return function, schema.options_model(function, SUPPLIED.get(kind, frozenset()))
    except Exception as error:
        if not user_code.is_user_name(name):
            raise
        reason = first_line(error)
        raise LookupError(
            f"{one_line(name, 60)} cannot be used: {one_line(reason, 160)}; fix its signature"
        ) from error


def _arrived(
    value: Any, key: str, function: Callable, path: Path, document: spec.Document, problems: list[Problem]
) -> Any:
    """An option as the function receives it: blocks bound, paths absolute."""
    hint = bound.hints(function)[key]
    entry = bound.entry_kind(hint)
    if value is None:
        return None
    if bound.is_file_path(hint):
        return str(document.folder / value)
    if entry is None:
        return value
    if isinstance(value, list) and bound.holds_list(hint):
        return [_bind(entry, item, (*path, key, i), document, problems) for i, item in enumerate(value)]
    return _bind(entry, value, (*path, key), document, problems)
