"""Trials: a base spec with the settings of an alternative and a point of its space, as specs of their own."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any, NamedTuple

from nnrun import catalog, spec
from nnrun.catalog import Spec
from nnrun.errors import SpecError
from nnrun.space import Point
from nnrun.spec import document, override, yaml12
from nnrun.spec.problem import Path, Place, Problem, place_of
from nnrun.sweep.file import Base, SweepFile
from nnrun.sweep.over import Alternative

__all__ = [
    "Line",
    "Trial",
    "check",
    "final_seeds",
    "lines",
    "seeds_of",
    "trial_at",
    "trial_spec",
    "values_at",
]

_FRESH = 10_000  # how far the seeds of the final comparison are from those of the trials
_ENOUGH = 0.05  # Holm's test must be able to get below this


class Line(NamedTuple):
    """One alternative on one base: what has a budget of trials of its own."""

    base: Base
    alternative: Alternative
    folder: str  # "" for one base, else its label and a slash


class Trial(NamedTuple):
    """One point of a line's space."""

    name: str  # sgd-003, or digits/sgd-003
    line: Line
    number: int
    point: Point
    settings: dict[str, Any]  # what varies: key of the spec -> value

    @property
    def run(self) -> str:
        """Its run folder, below that of the sweep."""
        return f"trials/{self.name}"


def lines(file: SweepFile) -> list[Line]:
    """Every alternative on every base."""
    several = len(file.bases) > 1
    return [
        Line(base, one, f"{base.label}/" if several else "")
        for base in file.bases
        for one in file.alternatives
    ]


def values_at(line: Line, point: Point) -> dict[str, Any]:
    """What a point means: key of the spec -> value."""
    space = line.alternative.space
    return {dimension.path: dimension.at(u) for dimension, u in zip(space, point, strict=True)}


def trial_at(line: Line, number: int, point: Point) -> Trial:
    """Trial `number` of a line."""
    name = f"{line.folder}{line.alternative.label}-{number:03d}"
    return Trial(name, line, number, point, values_at(line, point))


def seeds_of(file: SweepFile, base: Base) -> tuple[int, int]:
    """The first seed of a base's trials, and how many they have."""
    train = base.value.get("train")
    own = train if isinstance(train, dict) else {}
    return own.get("seed", 0), file.sweep.seeds or own.get("seeds", 1)


def final_seeds(file: SweepFile, base: Base) -> tuple[int, int]:
    """The first fresh seed, and how many: by default enough that the test could tell all pairs apart."""
    first, seeds = seeds_of(file, base)
    wanted = file.sweep.final_seeds
    if wanted is None:
        alternatives = len(file.alternatives)
        pairs = alternatives * (alternatives - 1) // 2
        wanted = seeds
        while pairs and 2.0 ** (1 - wanted) * pairs > _ENOUGH:
            wanted += 1
    return first + _FRESH, wanted


def trial_spec(
    file: SweepFile, line: Line, settings: dict[str, Any], seeds: tuple[int, int], name: str
) -> Spec:
    """The spec of a trial, checked.

    settings   what varies: key of the spec -> value
    seeds      the first one and how many
    Raises SpecError at the places of the sweep file that are to blame.
    """
    value, places, problems = copy.deepcopy(line.base.value), dict(line.base.places), []
    wanted = {**line.alternative.settings, **settings, "train.seed": seeds[0], "train.seeds": seeds[1]}
    wanted["name"] = name.replace("/", "-")[-40:].lstrip(".")
    train = value.get("train")
    if isinstance(train, dict) and train.get("seed") == seeds[0]:
        del wanted["train.seed"]  # it stands in the base, where it is told if it is wrong
    if file.sweep.metric is not None:
        wanted["checkpoint.best"] = file.sweep.metric
    for key, new in wanted.items():
        origin = _origin(key, line.alternative)
        path, problem = override.put(
            value, key, copy.deepcopy(new), places, _places(new, origin, file.places), _document_keys()
        )
        if problem:
            problems.append(Problem(place_of(origin, file.places), origin or path, f"{key}: {problem}"))
    made = document.from_data(value, places, problems, line.base.path, yaml12.dump(value))
    return catalog.bind(made)


def _document_keys() -> list[str]:
    """The top-level keys of a spec that hold blocks."""
    return [*spec.BLOCKS, *spec.LISTS]


def _origin(key: str, alternative: Alternative) -> Path:
    """Where in the sweep file the value of a key was written."""
    if key == "checkpoint.best":
        return ("sweep", "metric")
    if key in ("train.seed", "train.seeds"):
        return ("sweep", "seeds")
    return alternative.places.get(key, ("sweep", "over"))


def _places(value: Any, origin: Path, places: dict[Path, Place]) -> dict[Path, Place]:
    """The places of a value that was written in the sweep file, and of all inside it."""
    found: dict[Path, Place] = {(): place_of(origin, places)}
    for inner, _ in _walk(value):
        found[inner] = place_of((*origin, *inner), places)
    return found


def _walk(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    yield path, value
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from _walk(inner, (*path, key))


def check(file: SweepFile) -> None:
    """Checks the specs at the middle and at the ends of every range and with every choice.

    Raises SpecError with all problems found, each once.
    """
    told: dict[str, None] = {}
    for line in lines(file):
        tries = [(point, (0, 1)) for point in _corners(line)]
        tries += [(tries[0][0], seeds_of(file, line.base)), (tries[0][0], final_seeds(file, line.base))]
        for point, seeds in tries:
            if not seeds[1]:
                continue  # no comparison
            try:
                trial_spec(file, line, values_at(line, point), seeds, "trial")
            except SpecError as error:
                told.update(dict.fromkeys(error.problems))
    if told:
        raise SpecError(*list(told)[:6])


def _corners(line: Line) -> Iterator[Point]:
    """The middle of the space, and every end of every dimension with the others in their middle."""
    space = line.alternative.space
    middle = tuple(0.5 for _ in space)
    yield middle
    for i, dimension in enumerate(space):
        for u in dimension.grid(2):
            yield (*middle[:i], u, *middle[i + 1 :])
