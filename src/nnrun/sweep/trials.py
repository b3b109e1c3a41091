"""Trials: a base spec with the settings of an alternative and a point of its space, as specs of their own."""

from __future__ import annotations

import copy
import hashlib
import itertools
import json
import math
from collections.abc import Iterator, Sequence
from functools import partial
from typing import NamedTuple

from nnrun import catalog, spec
from nnrun.catalog import Spec
from nnrun.errors import SpecError
from nnrun.report.sweep.entries import Settings
from nnrun.space import Point
from nnrun.spec import document, override, yaml12
from nnrun.spec.problem import Path, Place, Problems, error_at, place_of
from nnrun.spec.schema import shown
from nnrun.statistics.compare import least_seeds
from nnrun.sweep.file import BaseSpec, SweepFile
from nnrun.sweep.over import Alternative
from nnrun.sweep.trial_spec import checked_trial

__all__ = [
    "Arm",
    "Trial",
    "arms",
    "check",
    "final_seeds",
    "seeds_of",
    "study_folder",
    "trial_at",
    "trial_spec",
    "values_at",
]

_FRESH = 10_000  # how far the seeds of the final comparison are from those of the trials
_APART = 20_000  # how far the seeds of a study are from those of the one before
_FEW_FRESH = 3  # of each study
_DOCUMENT_KEYS = [*spec.BLOCKS, *spec.LISTS]  # of a spec, that hold blocks


class Arm(NamedTuple):
    """One alternative on one base in one study: what has a budget of trials and draws of its own."""

    base: BaseSpec
    alternative: Alternative
    folder: str  # "" for one base, else its label and a slash
    seed: int = 0  # of its draws: alternatives with spaces of one size do not share their points
    study: int = 1

    @property
    def label(self) -> str:
        """What tables call it, whichever study it is: sgd, or digits/sgd."""
        return f"{self.folder}{self.alternative.label}"

    @property
    def place(self) -> str:
        """Where its runs lie: sgd, digits/sgd, of the second study study-2/sgd, digits/study-2/sgd."""
        inner = f"{study_folder(self.study)}/" if self.study > 1 else ""
        return f"{self.folder}{inner}{self.alternative.label}"


class Trial(NamedTuple):
    """One point of a line's space."""

    name: str  # sgd-003, digits/sgd-003, study-2/sgd-003
    arm: Arm
    number: int
    point: Point
    settings: Settings  # what varies: key of the spec -> value

    @property
    def run(self) -> str:
        """Its run folder, below that of the sweep."""
        return f"trials/{self.name}"


def arms(file: SweepFile) -> list[Arm]:
    """Every alternative on every base in every study; those of the first study come first."""
    folders = [f"{base.label}/" if len(file.bases) > 1 else "" for base in file.bases]
    return [
        Arm(base, alternative, folder, _seed(file.sweep.seed, folder, alternative.label, *repeated), study)
        for study in range(1, file.sweep.studies + 1)
        for repeated in [[study_folder(study)] if study > 1 else []]
        for base, folder in zip(file.bases, folders, strict=True)
        for alternative in file.alternatives
    ]


def study_folder(study: int) -> str:
    """What the runs of a study after the first one lie in."""
    return f"study-{study}"


def _seed(seed: int, *labels: str) -> int:
    """A seed that follows from that of the sweep and from names, so that other alternatives change nothing."""
    digest = hashlib.sha256(json.dumps([seed, *labels]).encode()).digest()
    return int.from_bytes(digest[:4], "big") >> 1


def values_at(arm: Arm, point: Point) -> Settings:
    """What a point means: key of the spec -> value."""
    space = arm.alternative.space
    return {dimension.path: dimension.at(u) for dimension, u in zip(space, point, strict=True)}


def trial_at(arm: Arm, number: int, point: Point) -> Trial:
    """Trial `number` of a line."""
    name = f"{arm.place}-{number:03d}"
    return Trial(name, arm, number, point, values_at(arm, point))


def seeds_of(file: SweepFile, base: BaseSpec, study: int = 1) -> tuple[int, int]:
    """The first seed of a base's trials in a study, and how many they have."""
    first = _whole(base, "seed", 0) + _APART * (study - 1)
    return first, file.sweep.seeds or _whole(base, "seeds", 1)


def _whole(base: BaseSpec, key: str, default: int) -> int:
    """A number of the base's train section; what is none is reported when the spec is checked."""
    train = base.value.get("train")
    value = train.get(key, default) if isinstance(train, dict) else default
    return value if isinstance(value, int) else default


def final_seeds(file: SweepFile, base: BaseSpec, study: int = 1) -> tuple[int, int]:
    """The first fresh seed of a study, and how many.

    By default enough that the test could tell all pairs apart; where studies are what is tested, three or more.
    """
    first, seeds = seeds_of(file, base, study)
    count = file.sweep.final_seeds
    if count is None and file.sweep.studies > 1:
        count = max(seeds, _FEW_FRESH)
    elif count is None:
        pairs = math.comb(len(file.alternatives), 2)
        count = max(seeds, least_seeds(pairs * file.looks)) if pairs else seeds
    return first + _FRESH, count


def trial_spec(file: SweepFile, arm: Arm, settings: Settings, seeds: tuple[int, int], name: str) -> Spec:
    """The spec of a trial, checked.

    settings   what varies: key of the spec -> value
    seeds      the first one and how many
    Raises SpecError at the places of the sweep file that are to blame.
    """
    value, problems = copy.deepcopy(arm.base.value), Problems(dict(arm.base.places))
    overrides = {**arm.alternative.settings, **settings, "train.seed": seeds[0], "train.seeds": seeds[1]}
    overrides["name"] = name.replace("/", "-")[-40:].lstrip(".")
    for key in ("seed", "seeds"):
        train = value.get("train")
        # What stands in the base is reported there if it is wrong.
        if (
            isinstance(train, dict)
            and key in train
            and (type(train[key]) is not int or train[key] == overrides[f"train.{key}"])
        ):
            del overrides[f"train.{key}"]
    if file.sweep.metric is not None:
        overrides["checkpoint.best"] = file.sweep.metric
    short_field = partial(catalog.short_field, arm.base.path.parent.absolute())
    for key, new in overrides.items():
        origin = _origin(key, arm.alternative, file)
        new_places = _places(new, origin, file.places)
        try:
            override.put(
                value, key, copy.deepcopy(new), problems.places, new_places, _DOCUMENT_KEYS, short_field
            )
        except override.UnreachableError as error:
            problems.add(origin or error.path, f"{key}: {error}", place_of(origin, file.places))
    trial_document = document.from_data(value, problems, arm.base.path, yaml12.dump(value))
    return checked_trial(catalog.bind(trial_document))


def _origin(key: str, alternative: Alternative, file: SweepFile) -> Path:
    """Where in the sweep file the value of a key was written."""
    if key == "checkpoint.best":
        return file.path_of("metric")
    if key in ("train.seed", "train.seeds"):
        return ("sweep", "seeds")
    return alternative.places.get(key, file.path_of("over"))


def _places(value: object, origin: Path, places: dict[Path, Place]) -> dict[Path, Place]:
    """The places of a value that was written in the sweep file, and of all inside it."""
    inner_places: dict[Path, Place] = {(): place_of(origin, places)}
    for inner, _ in _walk(value):
        inner_places[inner] = place_of((*origin, *inner), places)
    return inner_places


def _walk(value: object, path: Path = ()) -> Iterator[tuple[Path, object]]:
    yield path, value
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from _walk(inner, (*path, key))


def check(file: SweepFile) -> None:
    """Checks the specs at the middle and at the ends of every range and with every choice.

    Raises SpecError with all problems found, each once.
    """
    problems: dict[str, None] = {}
    for arm in arms(file):
        if arm.study > 1:
            continue  # its specs have other seeds, and nothing else
        tries = [(point, (0, 1)) for point in _corners(arm)]
        for study in sorted({1, file.sweep.studies}):
            tries += [(tries[0][0], seeds(file, arm.base, study)) for seeds in (seeds_of, final_seeds)]
        specs: list[tuple[Settings, Spec]] = []
        for point, seeds in tries:
            if not seeds[1]:
                continue  # no comparison
            settings = values_at(arm, point)
            try:
                specs.append((settings, trial_spec(file, arm, settings, seeds, "trial")))
            except SpecError as error:
                problems.update(dict.fromkeys(error.problems))
        problems.update(dict.fromkeys(_twice(file, arm, specs)))
    if problems:
        raise SpecError(*list(problems)[:6])


def _twice(file: SweepFile, arm: Arm, specs: Sequence[tuple[Settings, Spec]]) -> Iterator[str]:
    """What is wrong with two values of a choice that mean the same, such as 0.5 and {rate: 0.5}."""
    for dimension in arm.alternative.space:
        key = dimension.path
        specs_by_value = {repr(settings[key]): checked for settings, checked in reversed(specs)}
        known = [value for value in dimension.values if repr(value) in specs_by_value]
        for pair in itertools.combinations(known, 2):
            checked, other = (specs_by_value[repr(value)] for value in pair)
            if checked._replace(document=other.document) == other:
                message = f"{' and '.join(map(shown, pair))} are the same setting; write it once"
                yield str(error_at(_origin(key, arm.alternative, file), message, file.places))


def _corners(arm: Arm) -> Iterator[Point]:
    """The middle of the space, and every end of every dimension with the others in their middle."""
    space = arm.alternative.space
    middle = tuple(0.5 for _ in space)
    yield middle
    for i, dimension in enumerate(space):
        for u in dimension.grid(2):
            yield (*middle[:i], u, *middle[i + 1 :])
