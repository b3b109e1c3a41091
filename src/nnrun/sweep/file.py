"""The sweep file: which spec, what varies, how it is searched and compared.

read(path, overrides) -> SweepFile     raises SpecError with everything that is wrong; nothing is read but YAML
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from functools import partial
from pathlib import Path as FileSystemPath
from typing import Annotated, Any, Literal, NamedTuple

from annotated_types import Ge, Le, Lt
from pydantic import BaseModel, Field

from nnrun import catalog
from nnrun.errors import SpecError, one_line
from nnrun.spec import document, models, override, schema, yaml12
from nnrun.spec.plain import Block, Plain
from nnrun.spec.problem import Path, Place, Problems, error_at
from nnrun.sweep import wandb
from nnrun.sweep.over import Alternative, read_over

__all__ = ["MOST_SEEDS", "MOST_STUDIES", "MOST_TRIALS", "BaseSpec", "SweepBlock", "SweepFile", "read"]

MOST_TRIALS = 100_000  # of an alternative
MOST_SEEDS = 1024
MOST_STUDIES = 1000

_KEYS = ("name", "base", "sweep")
_SHAPE = "write base: SPEC and sweep: {over: {optimizer.learning_rate: {log: [1e-4, 1]}}}"


class SweepBlock(BaseModel):
    """What is searched, how, and how well it must be known."""

    model_config = models.STRICT

    search: Any = Field("random", description="the rule that proposes trials, see `nnrun list search`")
    over: dict[str, Any] = Field(
        min_length=1, description="what varies: key of the spec -> range, choice or blocks"
    )
    trials: Annotated[int, Ge(1), Le(MOST_TRIALS)] | None = Field(
        None, description="of each alternative; null: 20, or all of a grid"
    )
    seeds: Annotated[int, Ge(1), Le(MOST_SEEDS)] | None = Field(
        None, description="of each trial; null: the base's own"
    )
    final_seeds: Annotated[int, Ge(0), Le(MOST_SEEDS)] | None = Field(
        None,
        description="fresh ones for the final comparison; null: at least `seeds`, and enough to tell the "
        "alternatives apart; 0: no comparison",
    )
    studies: Annotated[int, Ge(1), Le(MOST_STUDIES)] = Field(
        1, description="how often the whole search is repeated, with draws and seeds of its own each time"
    )
    until: Literal["decided"] | None = Field(
        None,
        description="decided: add trials, fresh seeds or studies, round after round, until the verdict is clear",
    )
    rounds: Annotated[int, Ge(2), Le(100)] = Field(4, description="most of them, with `until`")
    metric: str | None = Field(
        None, description="validation metric that trials are judged by; null: the loss's own"
    )
    goal: Literal["max", "min"] | None = Field(None, description="null: what the metric's name says")
    target: float | None = Field(
        None, description="value of the metric for `time to a target`; null: one that all reach"
    )
    seed: Annotated[int, Ge(0), Lt(2**63)] = Field(0, description="of what the search draws")
    width: Annotated[int, Ge(1), Le(65_536)] | None = Field(
        None, description="most runs in one program; null: by the size of the net"
    )


class BaseSpec(NamedTuple):
    """A spec that is swept, as plain data."""

    label: str
    path: FileSystemPath
    value: Block
    places: dict[Path, Place]


class SweepFile(NamedTuple):
    """A sweep file, checked as far as it goes without a catalogue."""

    name: str
    bases: list[BaseSpec]
    sweep: SweepBlock
    alternatives: list[Alternative]
    places: dict[Path, Place]
    text: str
    keys: dict[str, Path]  # of `sweep` -> where it stands in a file of another shape
    warnings: list[str]  # what may not be meant

    def path_of(self, key: str) -> Path:
        """Where `sweep.key` stands in the file."""
        return ("sweep", *self.keys.get(key, (key,)))

    @property
    def looks(self) -> int:
        """How often the answer may be looked at before it is the last."""
        return self.sweep.rounds if self.sweep.until else 1

    def fail(self, key: str, message: str) -> SpecError:
        """The error for a mistake in `sweep.key` that shows only when the parts meet."""
        first, *inner = key.split(".")
        path = (*self.path_of(first), *inner)
        return error_at(path, message, self.places)


def read(path: FileSystemPath, overrides: Sequence[str] = ()) -> SweepFile:
    """Reads a sweep file and the specs that it names.

    overrides   `key=value`; keys that begin with `sweep.` are of this file, all others of the specs
    Raises SpecError.
    """
    value, problems = _keys_of(path, overrides)
    block: Plain = {} if value.get("sweep") is None else value["sweep"]
    keys: dict[str, Path] = {}
    warnings: list[str] = []
    if isinstance(block, dict) and wandb.is_wandb(block):
        block, keys, warnings = wandb.translated(block, problems.inside(("sweep",)))
    inside = problems.inside(("sweep",), keys)
    sweep = schema.check(SweepBlock, block, inside)
    alternatives: list[Alternative] = []
    if sweep is not None:
        alternatives = read_over(sweep.over, inside.inside(("over",)))
        _check_overrides(overrides, sweep, keys, problems)
    name = document.name_of(value, path, problems)
    bases = _bases(value, path, [text for text in overrides if not text.startswith("sweep.")], problems)
    if problems or sweep is None:
        raise problems.refusal()
    return SweepFile(name, bases, sweep, alternatives, problems.places, yaml12.dump(value), keys, warnings)


def _keys_of(path: FileSystemPath, overrides: Sequence[str]) -> tuple[Block, Problems]:
    """What a sweep file has at its top level, with the overrides of the sweep, and the collector for the rest.

    Raises SpecError for what is no sweep file, and for keys and overrides that are wrong by themselves.
    """
    tree = yaml12.parse(document.content(path), str(path))
    value, problems = tree.value, tree.problems
    top = Place(str(path), 1, 1)
    if not isinstance(value, dict):
        if not problems:
            problems.add((), f"got {schema.shown(value)}; {_SHAPE}", top)
        raise problems.refusal()
    if not value.keys() & {"base", "sweep"}:
        raise error_at((), _no_sweep(value, path), {(): top})
    override.conflicts(overrides, problems)
    for text in overrides:
        if text.startswith("sweep."):
            override.apply(value, text, problems, ["sweep"])
    for key in value:
        if key not in _KEYS:
            problems.add((key,), _unknown(key))
    problems.raise_if_any()
    return value, problems


def _no_sweep(value: Block, path: FileSystemPath) -> str:
    if "model" in value or "optimizer" in value:
        command = f"nnrun train {shlex.quote(one_line(path))}"
        return f"this is the spec of a run, not a sweep file; `{command}` trains it; to sweep it {_SHAPE}"
    return f"this is no sweep file; {_SHAPE}"


def _check_overrides(
    overrides: Sequence[str], sweep: SweepBlock, keys: dict[str, Path], problems: Problems
) -> None:
    """Adds the overrides of the base that would change nothing, because the sweep sets the same key."""
    over, metric = (".".join(map(str, keys.get(key, (key,)))) for key in ("over", "metric"))
    replacements = {key: f"sweep.{over}.{key}" for key in sweep.over}
    replacements |= {"train.seeds": "sweep.seeds"} if sweep.seeds is not None else {}
    replacements |= {"checkpoint.best": f"sweep.{metric}"} if sweep.metric is not None else {}
    for text in overrides:
        key = text.partition("=")[0]
        for name, replacement in replacements.items():
            if key == name or key.startswith(f"{name}."):
                problems.add((), f"the sweep sets this; change {replacement} instead", Place(text))


def _unknown(key: str) -> str:
    if key in (*document.BLOCKS, *document.LISTS, "train", "checkpoint"):
        return f"it belongs to the spec that `base` names, or under sweep.over; {_SHAPE}"
    return (
        f"it belongs inside sweep: {{{key}: ...}}"
        if key in SweepBlock.model_fields
        else f"unknown key; {_SHAPE}"
    )


def _bases(
    value: Block, path: FileSystemPath, overrides: Sequence[str], problems: Problems
) -> list[BaseSpec]:
    """The specs that are swept, relative to the sweep file."""
    written, inside = value.get("base"), problems.inside(("base",))
    names = written if isinstance(written, list) else [written]
    if not names or not all(isinstance(name, str) for name in names):
        what = f"got {schema.shown(written)}" if "base" in value else "missing"
        inside.add((), f"{what}; write the spec that is swept: base: digits.yaml")
        return []
    bases = []
    for i, name in enumerate(names):
        place = inside.inside((i,)) if isinstance(written, list) else inside
        base = _base(path.parent / str(name), overrides, place)
        bases += [base] if base else []
    labels = [base.label for base in bases]
    if len(set(labels)) < len(labels):
        inside.add((), "a spec comes twice; write each once")
    return bases


def _base(path: FileSystemPath, overrides: Sequence[str], problems: Problems) -> BaseSpec | None:
    """The spec at `path` with the overrides, as far as it could be read.

    problems   of the name of the spec; those of the spec itself are added with their own places
    """
    try:
        data = document.content(path)
    except SpecError as error:
        problems.add((), str(error))
        return None
    tree = yaml12.parse(data, str(path))
    if not isinstance(tree.value, dict):
        if not tree.problems:
            problems.add((), f"{path} is no spec; name one that `nnrun train` takes")
        problems.extend(tree.problems)
        return None
    keys, short_field = (
        [*document.BLOCKS, *document.LISTS],
        partial(catalog.short_field, path.parent.absolute()),
    )
    for text in overrides:
        override.apply(tree.value, text, tree.problems, keys, short_field)
    label = document.name_of(tree.value, path, tree.problems)
    problems.extend(tree.problems)
    return BaseSpec(label, path, tree.value, tree.places)
