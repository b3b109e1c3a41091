"""The spec file and its overrides: plain data with places, and the sections that are not in the catalogue.

read(path, overrides) -> Document        never raises for what is written in the file
catalog.bind(document) -> Spec           raises SpecError with all problems at once
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from pathlib import Path as FileSystemPath
from typing import Annotated, Any, Literal, NamedTuple

from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel, Field

from nnrun.errors import SpecError, one_line
from nnrun.options import Positive, Rate, StepsMark
from nnrun.spec import override, schema, yaml12
from nnrun.spec.problem import Path, Place, Problem, place_of

__all__ = [
    "BLOCKS",
    "COMMON",
    "SECTIONS",
    "Checkpoint",
    "DataCommon",
    "Document",
    "EarlyStopping",
    "OptimizerCommon",
    "ScheduleCommon",
    "Train",
    "read",
]

_TIMES = ("seconds", "minutes")
_AMOUNTS = ("steps", "epochs", "examples")


class _Section(BaseModel):
    model_config = schema.STRICT


class EarlyStopping(_Section):
    """Stop when a validation metric has not improved for a while."""

    metric: str | None = Field(
        None, description="val/loss, val/accuracy, ...; null: what checkpoint.best judges by"
    )
    patience: Annotated[Any, StepsMark()] = Field("10 epochs", description="how long without an improvement")
    min_delta: Annotated[float, Ge(0)] = Field(0.0, description="a smaller change is no improvement")


class Train(_Section):
    """How long, from which seed, and what is looked at on the way."""

    duration: Annotated[Any, StepsMark(_AMOUNTS)] = Field(description="length of the run, such as 30 epochs")
    seed: Annotated[int, Ge(0), Lt(2**31)] = Field(0, description="initial weights, data order and noise")
    seeds: Annotated[int, Ge(1), Le(1024)] = Field(
        1, description="train seed, seed+1, ... at once in one program"
    )
    log_every: Annotated[Any, StepsMark()] = Field("50 steps", description="one line in metrics.jsonl each")
    evaluate_every: Annotated[Any, StepsMark()] = Field(
        "1 epoch", description="metrics on the validation part"
    )
    early_stopping: EarlyStopping | None = Field(None, description="stop when validation stops improving")
    precision: Literal["float32", "float64"] = Field("float32", description="of parameters and arithmetic")
    deterministic: bool = Field(False, description="on a GPU, only deterministic kernels (slower)")


class Checkpoint(_Section):
    """When the state of a run is written to disk."""

    every: Annotated[Any, StepsMark((*_AMOUNTS, "%", *_TIMES))] = Field(
        "30 seconds", description="time or training"
    )
    keep: Annotated[int, Ge(2)] = Field(
        3, description="how many of the newest are kept; the best comes on top"
    )
    best: str | None = Field(
        None, description="validation metric that picks the best; null: the loss's own choice"
    )


class DataCommon(_Section):
    """Keys that every data block has."""

    batch_size: Annotated[int, Ge(1)] | Literal["full"] = Field(64, description="examples per step")
    validation: Annotated[float, Ge(0), Lt(1)] = Field(0.1, description="fraction of the examples held out")
    test: Annotated[float, Gt(0), Lt(1)] = Field(
        0.2, description="fraction held out for testing where there is no test part"
    )
    split_seed: Annotated[int, Ge(0), Lt(2**63)] = Field(0, description="which examples are held out")


class OptimizerCommon(_Section):
    """Keys that every optimizer block has."""

    clip_norm: Positive | None = Field(None, description="scale gradients down to this global norm")
    weight_decay: Rate = Field(0.0, description="decoupled decay of weights, not of biases and norm scales")


class ScheduleCommon(_Section):
    """Keys that every schedule block has."""

    warmup: Annotated[Any, StepsMark()] = Field(
        0, description="linear rise from 0 before the schedule begins"
    )


SECTIONS = {"train": Train, "checkpoint": Checkpoint}
COMMON = {
    "data": DataCommon,
    "optimizer": OptimizerCommon,
    "schedule": ScheduleCommon,
}
BLOCKS = {  # key -> what stands there when it is left out; None: it must be written
    "data": None,
    "model": None,
    "loss": "cross_entropy",
    "optimizer": None,
    "schedule": "constant",
}
_NAME = re.compile(r"(?!\.)[A-Za-z0-9._-]{1,40}")


class Document(NamedTuple):
    """A spec as written: its top-level keys checked, its catalogue blocks not yet."""

    name: str
    blocks: dict[str, dict[str, Any]]
    sections: dict[str, Any]
    places: dict[Path, Place]
    problems: list[Problem]
    folder: FileSystemPath  # what relative paths in the spec are relative to
    text: str


def read(path: FileSystemPath, overrides: Sequence[str] = ()) -> Document:
    """Reads a spec file and applies `key=value` overrides.

    Raises SpecError where the file cannot be opened; every mistake inside it goes to `problems`.
    """
    data = _content(path)
    tree = yaml12.parse(data, str(path))
    value, problems, places = tree.value, list(tree.problems), tree.places
    if not isinstance(value, dict):
        message = f"got {schema.shown(value)}; write keys such as `model: {{name: mlp, hidden: [128]}}`"
        problems = problems or [Problem(Place(str(path), 1, 1), (), message)]
        return Document("", {}, {}, places, problems, path.parent.absolute(), "")
    for text in overrides:
        problems += override.apply(value, text, places, BLOCKS)
    sections, bad_sections = _sections(value, places)
    blocks, bad_blocks = _blocks(value, places)
    name, bad_name = _name(value, path, places)
    problems += bad_sections + bad_blocks + bad_name + _unknown(value, places)
    text = data.decode("utf-8", "replace")
    return Document(name, blocks, sections, places, problems, path.parent.absolute(), text)


def _content(path: FileSystemPath) -> bytes:
    """The bytes of the file, but no more than show that it is too large."""
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
    known = ["name", *BLOCKS, *SECTIONS]
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


def _name(value: dict, path: FileSystemPath, places: dict[Path, Place]) -> tuple[str, list[Problem]]:
    name = value.get("name")
    if name is None:
        name = re.sub(r"[^A-Za-z0-9._-]", "-", path.stem).lstrip(".")[:40] or "run"
    if isinstance(name, str) and _NAME.fullmatch(name):
        return name, []
    message = f"got {schema.shown(name)}; write 1 to 40 letters, digits, '.', '_' or '-', no dot first"
    return "", [Problem(place_of(("name",), places), ("name",), message)]


def _sections(value: dict, places: dict[Path, Place]) -> tuple[dict[str, Any], list[Problem]]:
    sections: dict[str, Any] = {}
    found: list[Problem] = []
    for key, model in SECTIONS.items():
        block = {} if value.get(key) is None else value[key]
        sections[key], problems = schema.check(model, block, (key,), places)
        found += problems
    return sections, found


def _blocks(value: dict, places: dict[Path, Place]) -> tuple[dict[str, dict[str, Any]], list[Problem]]:
    blocks: dict[str, dict[str, Any]] = {}
    found: list[Problem] = []
    for key, default in BLOCKS.items():
        block = value.get(key, default)
        if isinstance(block, str):
            block = {"name": block}
        if isinstance(block, dict):
            blocks[key] = block
            continue
        what = f"got {schema.shown(block)}" if key in value else "missing"
        message = f"{what}; write `{key}: {{name: ...}}`, see `nnrun list {key}` for the names"
        found.append(Problem(place_of((key,), places), (key,), message))
    return blocks, found
