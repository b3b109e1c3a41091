"""The block `sweep.over`: what varies, as spaces of dimensions, one for each combination of alternatives.

learning_rate: {log: [1e-4, 1]}       a range
momentum: [0.8, 0.9, 0.99]            a list is a choice between its entries
optimizer: [{name: sgd, ...}, adam]   whole blocks, each with ranges of its own, are alternatives
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from nnrun.space import Dimension, Space
from nnrun.spec import BLOCKS, LISTS
from nnrun.spec.problem import Path, Place, Problem, place_of
from nnrun.spec.schema import shown
from nnrun.sweep.keys import overlaps, taken

__all__ = ["RANGES", "Alternative", "read_over"]

RANGES = ("uniform", "log", "int", "log_int", "normal", "choice")
_RANGE = "a range such as {log: [1e-4, 1]}, {uniform: [0, 0.5]}, {int: [1, 4]}, {normal: [0, 1]}"
_LABEL = re.compile(r"[^A-Za-z0-9_.-]")


class Alternative(NamedTuple):
    """Settings that belong together, and what varies beside them.

    label     names it in tables and folders
    settings  key of the spec -> its value
    space     the dimensions, in the order of the file
    places    key of the spec -> the path in the sweep file that gave it
    """

    label: str
    settings: dict[str, Any]
    space: Space
    places: dict[str, Path]


def read_over(
    over: Mapping[str, Any], prefix: Path, places: Mapping[Path, Place]
) -> tuple[list[Alternative], list[Problem]]:
    """The alternatives that `over` describes, each combination of the whole blocks that are listed.

    prefix   where `over` stands in the sweep file
    Returns what could be read, and what is wrong.
    """
    problems: list[Problem] = []
    axes: list[list[Alternative]] = []
    for number, (key, value) in enumerate(over.items()):
        where = (*prefix, key)
        problems += [
            Problem(place_of(where, places), where, message)
            for message in [*taken(key, value), *overlaps(key, list(over)[:number])]
        ]
        axes.append(list(_branches(key, value, (*prefix, key), places, problems)))
    alternatives = []
    for combination in itertools.product(*axes):
        label = "-".join(part.label for part in combination if part.label) or "trial"
        alternatives.append(
            Alternative(
                label,
                {k: v for part in combination for k, v in part.settings.items()},
                tuple(dimension for part in combination for dimension in part.space),
                {k: v for part in combination for k, v in part.places.items()},
            )
        )
    return _distinct(alternatives), problems


def _branches(
    key: str, value: Any, path: Path, places: Mapping[Path, Place], problems: list[Problem]
) -> Iterator[Alternative]:
    is_block = key in BLOCKS or key in LISTS
    if (
        is_block
        and isinstance(value, list)
        and value
        and all(isinstance(block, str | dict | list) for block in value)
    ):
        for i, block in enumerate(value):
            yield _branch(
                key, {"name": block} if isinstance(block, str) else block, (*path, i), places, problems
            )
        return
    alternative = _branch(key, value, path, places, problems)
    yield alternative._replace(label="")


def _branch(
    key: str, value: Any, path: Path, places: Mapping[Path, Place], problems: list[Problem]
) -> Alternative:
    dimensions: list[Dimension] = []
    origins: dict[str, Path] = {}
    fixed = _fixed(key, value, path, dimensions, origins, places, problems)
    label = _label(value)
    settings = {} if fixed is _VARIES else {key: fixed}
    origins.setdefault(key, path)
    return Alternative(label, settings, tuple(dimensions), origins)


def _label(value: Any) -> str:
    """The name of a block, or the names of several blocks one after another."""
    if isinstance(value, list):
        label = "-".join(_label(block) for block in value)
    else:
        name = value.get("name") if isinstance(value, dict) else value
        label = _LABEL.sub("-", str(name or "none").rpartition(":")[2])
    return label[:24].lstrip(".") or "none"


_VARIES = object()  # in place of a value that is drawn


def _fixed(
    key: str,
    value: Any,
    path: Path,
    dimensions: list[Dimension],
    origins: dict[str, Path],
    places: Mapping[Path, Place],
    problems: list[Problem],
) -> Any:
    """What of a value does not vary, _VARIES if nothing is left; its dimensions are appended."""
    origins[key] = path
    is_range = isinstance(value, dict) and len(value) == 1 and next(iter(value)) in RANGES
    if is_range or (isinstance(value, list) and not _is_block_list(key, value)):
        only = next(iter(value.values())) if isinstance(value, dict) else value
        if isinstance(only, list) and len(only) == 1 and (not is_range or "choice" in value):
            return only[0]  # one choice: nothing varies
        dimension = _dimension(key, value, path, places, problems)
        if dimension is not None:
            dimensions.append(dimension)
        return _VARIES
    if isinstance(value, list):
        inner = [
            _fixed(f"{key}.{i}", entry, (*path, i), dimensions, origins, places, problems)
            for i, entry in enumerate(value)
        ]
        return [None if entry is _VARIES else entry for entry in inner]  # the others keep their places
    if isinstance(value, dict):
        inner_block = {
            k: _fixed(f"{key}.{k}", entry, (*path, k), dimensions, origins, places, problems)
            for k, entry in value.items()
        }
        return {k: entry for k, entry in inner_block.items() if entry is not _VARIES}
    return value


def _is_block_list(key: str, value: list) -> bool:
    """Whether a list is what the spec has there, blocks one after another, not a choice."""
    return key in LISTS and all(isinstance(entry, str | dict) for entry in value)


def _dimension(
    key: str, value: Any, path: Path, places: Mapping[Path, Place], problems: list[Problem]
) -> Dimension | None:
    def wrong(message: str) -> None:
        problems.append(Problem(place_of(path, places), path, message))

    if isinstance(value, list):
        value = {"choice": value}
    [(kind, bounds)] = value.items()
    if kind == "choice":
        if not isinstance(bounds, list) or not bounds:
            return wrong(f"got {shown(bounds)}; write a list of at least one value, or {_RANGE}")
        if any(entry in bounds[:i] for i, entry in enumerate(bounds)):
            return wrong(f"got {shown(bounds)}, in which a value comes twice; write each once")
        return Dimension(key, "choice", values=tuple(bounds))
    if not _are_numbers(bounds):
        return wrong(f"got {shown(bounds)}; write two numbers: {{{kind}: [low, high]}}")
    low, high = bounds
    if kind == "normal":
        if high <= 0:
            return wrong(
                f"got the deviation {high:g}; write {{normal: [mean, deviation]}} with a deviation > 0"
            )
        return Dimension(key, kind, float(low), float(high))
    if low >= high:
        return wrong(f"the range [{low:g}, {high:g}] is empty; write the lower end first")
    if kind.endswith("int") and not all(float(bound).is_integer() for bound in bounds):
        return wrong(f"got {shown(bounds)}; write two whole numbers")
    if kind in ("log", "log_int") and low <= 0:
        return wrong(
            f"the logarithm of {low:g} does not exist; write a lower end > 0, such as {high / 1000:g}"
        )
    return Dimension(key, kind, float(low), float(high))


def _are_numbers(bounds: Any) -> bool:
    return (
        isinstance(bounds, list)
        and len(bounds) == 2
        and all(
            isinstance(bound, int | float) and not isinstance(bound, bool) and math.isfinite(bound)
            for bound in bounds
        )
    )


def _distinct(alternatives: list[Alternative]) -> list[Alternative]:
    """The second adam is adam-2."""
    taken: dict[str, int] = {}
    distinct = []
    for alternative in alternatives:
        taken[alternative.label] = taken.get(alternative.label, 0) + 1
        number = taken[alternative.label]
        distinct.append(
            alternative if number == 1 else alternative._replace(label=f"{alternative.label}-{number}")
        )
    return distinct
