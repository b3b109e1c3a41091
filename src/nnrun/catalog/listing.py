"""What the folders of the catalogue hold, read from the source text: nothing is imported, so no jax."""

from __future__ import annotations

import ast
import re
import textwrap
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import NotRequired

from typing_extensions import TypedDict

from nnrun.catalog import source
from nnrun.catalog.source import Option, in_yaml
from nnrun.spec.record import Form

__all__ = [
    "KINDS",
    "SPEC_KINDS",
    "SUPPLIED",
    "CatalogueEntry",
    "OptionEntry",
    "as_data",
    "described",
    "details",
    "durations",
    "entries",
    "forms",
    "kinds_of",
    "names",
    "options",
    "parameters",
    "reported",
    "required",
    "summary",
]

KINDS = (
    "data", "augment", "model", "layer", "loss", "metric", "penalty", "optimizer", "schedule", "average", "surface",
    "search", "tracker",
)  # fmt: skip
_OUTSIDE = ("surface", "search", "tracker")  # for races, for sweeps, for what keeps copies of runs
SPEC_KINDS = tuple(kind for kind in KINDS if kind not in _OUTSIDE)
SUPPLIED = {  # parameters that build fills in; a spec must not name them
    # What a loss that was written in the spec needs: labels, numbers, or several labels.
    "data": frozenset({"classifies", "binary"}),
    "model": frozenset({"outputs", "key"}),  # numbers put out per example; for the weights of foreign modules
    "layer": frozenset({"second_moments"}),  # of the patches of the training images
    # Units of the target per standardised unit; names of the classes, and how many training examples each has.
    "loss": frozenset({"target_scale", "classes", "class_counts"}),
    "metric": frozenset(
        {"classes", "target_shift"}
    ),  # names of the classes; the mean of the training targets
    "schedule": frozenset({"total"}),  # steps of the whole run
}
_DESCRIBED = {
    "data": "a data set", "augment": "an augmentation", "optimizer": "an optimizer", "average": "an average",
}  # fmt: skip
_ROOT = Path(__file__).parents[1]
_COLUMNS = 79


@lru_cache(None)
def names(kind: str) -> tuple[str, ...]:
    """The names of a kind: the files of its folder, sorted."""
    return tuple(sorted(path.stem for path in (_ROOT / kind).glob("*.py") if not path.stem.startswith("_")))


def kinds_of(name: str) -> list[str]:
    """The kinds that have an entry of this name, in any case of letters."""
    return [kind for kind in KINDS if name.lower() in names(kind)]


def described(kinds: Iterable[str]) -> str:
    """What something is that these kinds have: `a model and a schedule`."""
    return " and ".join(_DESCRIBED.get(kind, f"a {kind}") for kind in kinds)


def summary(kind: str, name: str) -> str:
    """The first line of an entry's docstring."""
    return (ast.get_docstring(_source(kind, name)) or "").partition("\n")[0]


@lru_cache(None)
def options(kind: str, name: str) -> tuple[Option, ...]:
    """The options of an entry, without those that nnrun supplies."""
    supplied = SUPPLIED.get(kind, ())
    return tuple(o for o in source.options(_file(kind, name), name) if o.name not in supplied)


def forms(kind: str, name: str) -> dict[str, Form]:
    """How those options of an entry are written that are records."""
    return {
        option.name: Form(tuple(field.name for field in option.fields), option.choices)
        for option in options(kind, name)
        if option.fields
    }


def reported(loss: str) -> tuple[str, ...]:
    """The metrics that a loss always reports: the words in backticks in the paragraph `Metrics:` of its docstring."""
    _, _, rest = (ast.get_docstring(_source("loss", loss)) or "").partition("Metrics:")
    return tuple(re.findall(r"`(\w+)`", rest.partition("\nShapes:")[0]))


def details(kind: str, name: str) -> str:
    """An entry as its source has it: the options with types and defaults, then the whole docstring."""
    rows = [line for option in options(kind, name) for line in _rows(option, "  ")]
    return "\n".join([f"{kind}: {name}", *rows, "", ast.get_docstring(_source(kind, name)) or ""])


class OptionEntry(TypedDict):
    """An option: its type in words, its default where it has one, and what it means; of a record its fields."""

    type: str
    default: NotRequired[object]
    about: str
    fields: NotRequired[dict[str, OptionEntry]]


class CatalogueEntry(TypedDict):
    """What `nnrun list KIND NAME --json` prints."""

    kind: str
    name: str
    summary: str
    options: dict[str, OptionEntry]
    common: NotRequired[dict[str, str | None]]  # what every block of the kind has: key -> what it means


def as_data(kind: str, name: str) -> CatalogueEntry:
    """An entry as plain data: its options with type, default, what they mean and, of a record, its fields."""
    return {
        "kind": kind,
        "name": name,
        "summary": summary(kind, name),
        "options": {option.name: _option_as_data(option) for option in options(kind, name)},
    }


def _option_as_data(option: Option) -> OptionEntry:
    fields = {field.name: _option_as_data(field) for field in option.fields}
    entry: OptionEntry = {"type": option.type, "about": option.about}
    if not option.required:
        entry["default"] = option.default
    if fields:
        entry["fields"] = fields
    return entry


def _rows(option: Option, margin: str) -> list[str]:
    """An option with its type and default; a record with its fields, which have no other place to be explained."""
    default = "" if option.required else f" = {in_yaml(option.default)}"
    record = "; or as a record:" if option.fields else ""
    rows = _wrapped(f"{option.name}: {option.type}{default}{record}", margin, "    ")
    for field in option.fields:
        rows += _rows(field, f"{margin}    ")
        rows += _wrapped(field.about, f"{margin}        ")
    return rows


def _wrapped(text: str, margin: str, more: str = "") -> list[str]:
    """A text as lines behind a margin, those after the first by `more` further in."""
    return textwrap.wrap(text, _COLUMNS, initial_indent=margin, subsequent_indent=margin + more)


def parameters(kind: str, name: str) -> list[str]:
    """The names of an entry's options, without those that nnrun supplies."""
    return [argument.arg for argument in _arguments(kind, name) if argument.arg not in SUPPLIED.get(kind, ())]


def required(kind: str, name: str) -> list[str]:
    """The names of the options of an entry that have no default."""
    arguments = _source(kind, name).args
    positional = arguments.args[: len(arguments.args) - len(arguments.defaults)]
    alone = [
        argument
        for argument, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
        if default is None
    ]
    return [argument.arg for argument in [*positional, *alone] if argument.arg not in SUPPLIED.get(kind, ())]


def durations(kind: str, name: str) -> list[str]:
    """The names of the options of an entry that are durations, such as `30 epochs` or `25%`."""
    return [
        argument.arg
        for argument in _arguments(kind, name)
        if argument.annotation
        and any(isinstance(node, ast.Name) and node.id == "Steps" for node in ast.walk(argument.annotation))
    ]


def entries(kind: str, name: str) -> dict[str, str]:
    """The options of an entry that hold catalogue blocks themselves: {option: kind of those blocks}."""
    return {option.name: option.kind for option in options(kind, name) if option.kind}


def _arguments(kind: str, name: str) -> list[ast.arg]:
    arguments = _source(kind, name).args
    return arguments.args + arguments.kwonlyargs


def _source(kind: str, name: str) -> ast.FunctionDef:
    return source.function(_file(kind, name), name)


def _file(kind: str, name: str) -> Path:
    return _ROOT / kind / f"{name}.py"
