"""The catalogue: the folder is the registry, a function's signature is the schema of its YAML block.

`model: {name: mlp, hidden: [128]}` is the function `mlp` in `nnrun/model/mlp.py`; `name: mine:net` is the
function `net` of the file `mine.py` beside the spec (that runs the user's code).

Wrong names are found in the source text of the catalogue (`listing`), which needs no jax; a function is
imported when the values of its options are checked.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable
from pathlib import Path as FileSystemPath
from typing import Any

from pydantic import BaseModel

from nnrun import spec
from nnrun.catalog import bound, user_code
from nnrun.catalog.bound import Bound
from nnrun.catalog.checked import Spec, is_own, unread
from nnrun.catalog.listing import SUPPLIED, described, entries, forms, kinds_of, names, parameters, reported
from nnrun.errors import SpecError, first_line, one_line
from nnrun.spec import models, schema
from nnrun.spec.plain import Block, Plain, in_full
from nnrun.spec.problem import Path, Place, Problems

__all__ = ["bind", "bind_block", "check_names", "find"]


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
    problems = Problems(document.places)
    problems.extend(document.problems)
    for key, block in document.blocks.items():
        _check_names(key, block, problems.inside((key,)))
    for key, blocks in document.lists.items():
        for path, block in blocks:
            _check_names(spec.LISTS[key], block, problems.inside(path))
    for path, block in document.track:
        _check_names("tracker", block, problems.inside(path))
    problems.raise_if_any()


def bind(document: spec.Document, with_data: bool = True) -> Spec:
    """Checks every block against the signature that it names.

    with_data   False: the data will not be read, so a loader of the user's own is not imported
    Raises SpecError with all problems found: first those of `check_names`, then the values of the options.
    """
    check_names(document)
    problems = Problems(document.places)
    bound_blocks = {
        key: _bind(key, block, problems.inside((key,)), document.folder)
        for key, block in document.blocks.items()
        if key != "data" or with_data or not is_own(block)
    }
    bound_blocks.setdefault("data", unread(document))
    lists = {
        key: [
            _bind(spec.LISTS[key], block, problems.inside(path), document.folder) for path, block in several
        ]
        for key, several in document.lists.items()
    }
    track = [_tracker(block, problems.inside(path), document.folder) for path, block in document.track]
    problems.raise_if_any()
    blocks = {key: block for key, block in bound_blocks.items() if block is not None}
    return Spec(
        name=document.name,
        data=blocks["data"],
        model=blocks["model"],
        loss=blocks["loss"],
        optimizer=blocks["optimizer"],
        schedule=blocks["schedule"],
        **{key: [block for block in several if block is not None] for key, several in lists.items()},
        train=document.sections["train"],
        checkpoint=document.sections["checkpoint"],
        track=track,
        document=document,
    )


def _tracker(block: Plain, problems: Problems, folder: FileSystemPath) -> str:
    """A tracker of a spec as the text that it is asked for with on a command line, its paths absolute; "" if wrong."""
    written = in_full(block)
    if isinstance(written, dict) and user_code.is_user_name(str(written.get("name"))):
        problems.add(("name",), "a tracker of your own goes to the command line: --track module:function")
        return ""
    checked = _bind("tracker", block, problems, folder)
    if checked is None or not isinstance(written, dict):
        return ""
    options = {key: value for key, value in bound.plain(checked).items() if key in written}
    return checked.name if len(options) == 1 else json.dumps(options)


def bind_block(
    kind: str, block: Plain, path: Path, places: dict[Path, Place], folder: FileSystemPath
) -> Bound:
    """A block of plain data that stands at `path` of some file.  Raises SpecError."""
    problems = Problems(places, path)
    block_bound = _bind(kind, block, problems, folder)
    problems.raise_if_any()
    if block_bound is None:
        raise SpecError(f"{one_line(block, 60)}: not a block; write a name or {{name: ...}}")
    return block_bound


def _no_such(kind: str, name: str) -> str:
    if kind == "metric" and (losses := [loss for loss in names("loss") if name in reported(loss)]):
        which = "every loss" if losses == [*names("loss")] else f"loss: {', '.join(losses)}"
        return f"{name} is no metric to ask for: {which} always reports it; leave it out"
    elsewhere = kinds_of(name)
    what = f", it is {described(elsewhere)}" if elsewhere and kind not in elsewhere else ""
    return f"there is no {kind} {schema.shown(name, 40)}{what}; {schema.nearest(name, names(kind))}"


def _check_names(kind: str, written: Plain, problems: Problems) -> None:
    """Adds what is wrong with a block, and the blocks inside it, as far as names go."""
    block = in_full(written)
    if not isinstance(block, dict):
        problems.add((), f"got {schema.shown(block)}; write a block {{name: ...}}, see `nnrun list {kind}`")
        return
    name = block.get("name")
    if not isinstance(name, str):
        what = f"got {schema.shown(name)}" if "name" in block else "missing"
        problems.add(("name",), f"{what}; {schema.nearest('', names(kind))}")
    elif user_code.is_user_name(name):
        pass  # the user's own code is looked at when it is imported
    elif name not in names(kind):
        problems.add(("name",), _no_such(kind, name))
    else:
        _check_keys(kind, name, block, problems)


def _check_keys(kind: str, name: str, block: Block, problems: Problems) -> None:
    """Adds what is wrong with the keys of a block, and the names inside it."""
    common = models.keys(spec.COMMON[kind]) if _has_common(kind, problems.path) else ()
    known = [*parameters(kind, name), *common]
    for key in block:
        if key in SUPPLIED.get(kind, ()):
            problems.add((key,), "nnrun sets this; remove it")
        elif key not in ("name", *known):
            problems.add((key,), _unknown(key, block[key], kind, name, known))
    for key, inner_kind in entries(kind, name).items():
        value = block.get(key)
        if isinstance(value, list):
            for i, item in enumerate(value):
                _check_names(inner_kind, item, problems.inside((key, i)))
        elif value is not None:
            _check_names(inner_kind, value, problems.inside((key,)))


def _unknown(key: str, value: Plain, kind: str, name: str, known: list[str]) -> str:
    """What is wrong with a key that the entry `name` lacks, and where it belongs or what to write instead."""
    home = spec.home_of(key) if kind in (*spec.BLOCKS, *spec.LISTS.values()) else None
    if home in (None, kind):
        return schema.unknown(key, value, known, forms(kind, name))
    return f"unknown key; it belongs inside {home}"


def _has_common(kind: str, path: Path) -> bool:
    """Whether a block takes the common keys of its kind: those of the data and schedule are about the run."""
    return kind in spec.COMMON and (len(path) == 1 or kind == "optimizer")


def _bind(kind: str, written: Plain, problems: Problems, folder: FileSystemPath) -> Bound | None:
    """The block bound to its function, or None with the reasons added to `problems`."""
    known = len(problems)
    _check_names(kind, written, problems)  # news only for blocks inside the user's own
    block = in_full(written)
    if len(problems) > known or not isinstance(block, dict):
        return None
    name = str(block["name"])
    try:
        function, model = _resolve(kind, name, folder)
    except LookupError as error:
        problems.add(("name",), str(error.args[0]))
        return None
    options = {key: value for key, value in block.items() if key != "name"}
    common = _without_common(kind, model, options, problems)
    checked = schema.check(model, options, problems)
    if checked is None or common is None:
        return None
    hints = bound.hints(function)
    arrived = {
        key: _arrived(value, hints[key], problems.inside((key,)), folder)
        for key, value in models.values(checked).items()
    }
    return Bound(kind, name, function, arrived, common)


def _without_common(
    kind: str, model: type[BaseModel], options: Block, problems: Problems
) -> dict[str, Any] | None:
    """Takes the common keys of the kind out of a block's options; their values, or None where one is wrong."""
    if not _has_common(kind, problems.path):
        return {}
    shared = models.keys(spec.COMMON[kind]).keys() - models.keys(model).keys()
    written = {key: options.pop(key) for key in list(options) if key in shared}
    checked = schema.check(spec.COMMON[kind], written, problems)
    if checked is None:
        return None
    return {key: value for key, value in models.values(checked).items() if key in shared}


def _resolve(kind: str, name: str, folder: FileSystemPath) -> tuple[Callable, type[BaseModel]]:
    """The function behind a name and the model of its options; LookupError with what to write instead."""
    function = find(kind, name, folder)
    try:
        model = models.options_model(function, SUPPLIED.get(kind, frozenset()))
        if kind == "data" and (
            taken := sorted(models.keys(model).keys() & models.keys(spec.COMMON[kind]).keys())
        ):
            raise ValueError(f"every data block has the key {taken[0]}, so its option needs another name")
        return function, model
    except Exception as error:
        if not user_code.is_user_name(name):
            raise
        reason = first_line(error)
        raise LookupError(
            f"{one_line(name, 60)} cannot be used: {one_line(reason, 160)}; fix its signature"
        ) from error


def _arrived(value: Any, hint: Any, problems: Problems, folder: FileSystemPath) -> Any:
    """An option as the function receives it: blocks bound, paths absolute."""
    kind = bound.entry_kind(hint)
    if value is None:
        return None
    if bound.is_file_path(hint):
        return str(folder / value)
    if kind is None:
        return value
    if isinstance(value, list) and bound.holds_list(hint):
        return [_bind(kind, block, problems.inside((i,)), folder) for i, block in enumerate(value)]
    return _bind(kind, value, problems, folder)
