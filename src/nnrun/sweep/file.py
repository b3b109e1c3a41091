"""The sweep file: which spec, what varies, how it is searched and compared.

read(path, overrides) -> SweepFile     raises SpecError with everything that is wrong; nothing is read but YAML
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path as FileSystemPath
from typing import Annotated, Any, Literal, NamedTuple

from annotated_types import Ge, Le, Lt
from pydantic import BaseModel, Field

from nnrun.errors import SpecError, one_line
from nnrun.spec import document, override, schema, yaml12
from nnrun.spec.problem import Path, Place, Problem, place_of, refusal
from nnrun.sweep import wandb
from nnrun.sweep.over import Alternative, read_over

__all__ = ["BaseSpec", "Sweep", "SweepFile", "read"]

_KEYS = ("name", "base", "sweep")
_SHAPE = "write base: SPEC and sweep: {over: {optimizer.learning_rate: {log: [1e-4, 1]}}}"


class Sweep(BaseModel):
    """What is searched, how, and how well it must be known."""

    model_config = schema.STRICT

    search: Any = Field("random", description="the rule that proposes trials, see `nnrun list search`")
    over: dict[str, Any] = Field(
        min_length=1, description="what varies: key of the spec -> range, choice or blocks"
    )
    trials: Annotated[int, Ge(1), Le(100_000)] | None = Field(
        None, description="of each alternative; null: 20, or all of a grid"
    )
    seeds: Annotated[int, Ge(1), Le(1024)] | None = Field(
        None, description="of each trial; null: the base's own"
    )
    final_seeds: Annotated[int, Ge(0), Le(1024)] | None = Field(
        None,
        description="fresh ones for the final comparison; null: at least `seeds`, and enough to tell the "
        "alternatives apart; 0: no comparison",
    )
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
    value: dict[str, Any]
    places: dict[Path, Place]


class SweepFile(NamedTuple):
    """A sweep file, checked as far as it goes without a catalogue."""

    name: str
    bases: list[BaseSpec]
    sweep: Sweep
    alternatives: list[Alternative]
    places: dict[Path, Place]
    text: str
    keys: dict[str, Path]  # of `sweep` -> where it stands in a file of another shape
    warnings: list[str]  # what may not be meant

    def path_of(self, key: str) -> Path:
        """Where `sweep.key` stands in the file."""
        return ("sweep", *self.keys.get(key, (key,)))

    def fail(self, key: str, message: str) -> SpecError:
        """The error for a mistake in `sweep.key` that shows only when the parts meet."""
        first, *inner = key.split(".")
        path = (*self.path_of(first), *inner)
        return SpecError(str(Problem(place_of(path, self.places), path, message)))


def read(path: FileSystemPath, overrides: Sequence[str] = ()) -> SweepFile:
    """Reads a sweep file and the specs that it names.

    overrides   `key=value`; keys that begin with `sweep.` are of this file, all others of the specs
    Raises SpecError.
    """
    tree = yaml12.parse(document.content(path), str(path))
    value, places, problems = tree.value, dict(tree.places), list(tree.problems)
    if not isinstance(value, dict):
        raise refusal(
            problems or [Problem(Place(str(path), 1, 1), (), f"got {schema.shown(value)}; {_SHAPE}")], places
        )
    if not value.keys() & {"base", "sweep"}:
        raise refusal([Problem(Place(str(path), 1, 1), (), _no_sweep(value, path))], places)
    problems += override.conflicts(overrides)
    for text in (text for text in overrides if text.startswith("sweep.")):
        problems += override.apply(value, text, places, ["sweep"])
    problems += [
        Problem(place_of((key,), places), (key,), _unknown(key)) for key in value if key not in _KEYS
    ]
    if problems:
        raise refusal(problems, places)
    block = value.get("sweep")
    keys: dict[str, Path] = {}
    warnings: list[str] = []
    if isinstance(block, dict) and wandb.is_wandb(block):
        block, keys, problems, warnings = wandb.translated(block, ("sweep",), places)
    sweep, wrong = schema.check(Sweep, {} if block is None else block, ("sweep",), places)
    problems += [_as_written(problem, keys, places) for problem in wrong]
    alternatives: list[Alternative] = []
    if sweep is not None:
        alternatives, wrong = read_over(sweep.over, ("sweep", *keys.get("over", ("over",))), places)
        problems += wrong + _overruled(overrides, sweep, keys)
    name, wrong = document.name_of(value, path, places)
    problems += wrong
    bases = _bases(
        value, path, places, problems, [text for text in overrides if not text.startswith("sweep.")]
    )
    if problems or sweep is None:
        raise refusal(problems, places)
    return SweepFile(name, bases, sweep, alternatives, places, yaml12.dump(value), keys, warnings)


def _no_sweep(value: dict[str, Any], path: FileSystemPath) -> str:
    if "model" in value or "optimizer" in value:
        command = f"nnrun train {shlex.quote(one_line(path))}"
        return f"this is the spec of a run, not a sweep file; `{command}` trains it; to sweep it {_SHAPE}"
    return f"this is no sweep file; {_SHAPE}"


def _as_written(problem: Problem, keys: dict[str, Path], places: dict[Path, Place]) -> Problem:
    """A problem of a key that stands elsewhere in a file of another shape, at the place where it stands."""
    first, *inner = problem.path[1:] or ("",)
    if first not in keys:
        return problem
    path = ("sweep", *keys[str(first)], *inner)
    return Problem(place_of(path, places), path, problem.message)


def _overruled(overrides: Sequence[str], sweep: Sweep, keys: dict[str, Path]) -> list[Problem]:
    """Overrides of the base that would change nothing, because the sweep sets the same key."""
    over, metric = (".".join(map(str, keys.get(key, (key,)))) for key in ("over", "metric"))
    replacements = {key: f"sweep.{over}.{key}" for key in sweep.over}
    replacements |= {"train.seeds": "sweep.seeds"} if sweep.seeds is not None else {}
    replacements |= {"checkpoint.best": f"sweep.{metric}"} if sweep.metric is not None else {}
    problems = []
    for text in overrides:
        key = text.partition("=")[0]
        problems += [
            Problem(Place(text), (), f"the sweep sets this; change {place} instead")
            for name, place in replacements.items()
            if key == name or key.startswith(f"{name}.")
        ]
    return problems


def _unknown(key: str) -> str:
    if key in (*document.BLOCKS, *document.LISTS, "train", "checkpoint"):
        return f"it belongs to the spec that `base` names, or under sweep.over; {_SHAPE}"
    return (
        f"it belongs inside sweep: {{{key}: ...}}" if key in Sweep.model_fields else f"unknown key; {_SHAPE}"
    )


def _bases(
    value: dict[str, Any],
    path: FileSystemPath,
    places: dict[Path, Place],
    problems: list[Problem],
    overrides: Sequence[str],
) -> list[BaseSpec]:
    """The specs that are swept, relative to the sweep file."""
    written = value.get("base")
    names = written if isinstance(written, list) else [written]
    if not names or not all(isinstance(name, str) for name in names):
        what = f"got {schema.shown(written)}" if "base" in value else "missing"
        message = f"{what}; write the spec that is swept: base: digits.yaml"
        problems.append(Problem(place_of(("base",), places), ("base",), message))
        return []
    bases = []
    for i, name in enumerate(names):
        where = ("base", i) if isinstance(written, list) else ("base",)
        base = _base(path.parent / str(name), overrides, place_of(where, places), where, problems)
        bases += [base] if base else []
    labels = [base.label for base in bases]
    if len(set(labels)) < len(labels):
        problems.append(
            Problem(place_of(("base",), places), ("base",), "a spec comes twice; write each once")
        )
    return bases


def _base(
    path: FileSystemPath, overrides: Sequence[str], place: Place, where: Path, problems: list[Problem]
) -> BaseSpec | None:
    try:
        data = document.content(path)
    except SpecError as error:
        problems.append(Problem(place, where, str(error)))
        return None
    tree = yaml12.parse(data, str(path))
    places = dict(tree.places)
    mistakes = list(tree.problems)
    if not isinstance(tree.value, dict):
        problems += mistakes or [
            Problem(place, where, f"{path} is no spec; name one that `nnrun train` takes")
        ]
        return None
    for text in overrides:
        mistakes += override.apply(tree.value, text, places, [*document.BLOCKS, *document.LISTS])
    label, wrong = document.name_of(tree.value, path, places)
    problems += mistakes + wrong
    return BaseSpec(label, path, tree.value, places)
