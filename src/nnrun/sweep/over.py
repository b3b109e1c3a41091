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
from types import MappingProxyType
from typing import NamedTuple, TypeGuard

from nnrun.amounts import figure
from nnrun.space import Dimension, Space
from nnrun.spec import BLOCKS, LISTS
from nnrun.spec.plain import Block, Plain, in_full, is_number
from nnrun.spec.problem import Path, Problems
from nnrun.spec.schema import shown
from nnrun.sweep.keys import check_key

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
    factors   key that lists several blocks -> the name of this one's
    """

    label: str
    settings: Block
    space: Space
    places: dict[str, Path]
    factors: Mapping[str, str] = MappingProxyType({})


def read_over(over: Mapping[str, Plain], problems: Problems) -> list[Alternative]:
    """The alternatives that `over` describes, each combination of the whole blocks that are listed.

    problems   of the block `over`; what is wrong is added, and what could be read is returned
    """
    axes: list[list[Alternative]] = []
    for number, (key, value) in enumerate(over.items()):
        inner = problems.inside((key,))
        check_key(key, value, list(over)[:number], inner)
        axes.append(_branches(key, value, inner))
    return _distinct([_combined(parts) for parts in itertools.product(*axes)])


def _combined(parts: tuple[Alternative, ...]) -> Alternative:
    """One alternative of each key as one alternative."""
    return Alternative(
        "-".join(part.label for part in parts if part.label) or "trial",
        {key: value for part in parts for key, value in part.settings.items()},
        tuple(dimension for part in parts for dimension in part.space),
        {key: path for part in parts for key, path in part.places.items()},
        {key: name for part in parts for key, name in part.factors.items()},
    )


def _branches(key: str, value: Plain, problems: Problems) -> list[Alternative]:
    """The alternatives of one key: whole blocks in a list, or the only one, which needs no label."""
    if _are_blocks(value, key):
        branches = [_branch(key, in_full(block), problems.inside((i,))) for i, block in enumerate(value)]
        if len(branches) == 1:
            return branches
        names = [branch.label for branch in _distinct(branches)]
        return [branch._replace(factors={key: name}) for branch, name in zip(branches, names, strict=True)]
    return [_branch(key, value, problems)._replace(label="")]


def _are_blocks(value: Plain, key: str) -> TypeGuard[list[Plain]]:
    """Whether a value is a list of whole blocks; for a key that holds a list, its entries may be lists."""
    if key not in (*BLOCKS, *LISTS) or not isinstance(value, list) or not value:
        return False
    return all(isinstance(block, str | dict | list) for block in value)


def _branch(key: str, value: Plain, problems: Problems) -> Alternative:
    reader = _Reader()
    fixed = reader.fixed(key, value, problems)
    settings: Block = {} if isinstance(fixed, _Varies) else {key: fixed}
    return Alternative(_label(value), settings, tuple(reader.dimensions), reader.places)


def _label(value: Plain) -> str:
    """The name of a block, or the names of several blocks one after another."""
    if isinstance(value, list):
        label = "-".join(_label(block) for block in value)
    else:
        name = value.get("name") if isinstance(value, dict) else value
        label = _LABEL.sub("-", str(name or "none").rpartition(":")[2])
    return label[:24].lstrip(".") or "none"


class _Varies:
    """In place of a value that is drawn."""


_VARIES = _Varies()


class _Reader:
    """Tells what of a value varies from what does not.

    dimensions   what varies, in the order of the file
    places       key of the spec -> the path in the sweep file that gave it
    """

    def __init__(self) -> None:
        self.dimensions: list[Dimension] = []
        self.places: dict[str, Path] = {}

    def fixed(self, key: str, value: Plain, problems: Problems) -> Plain | _Varies:
        """What of a value does not vary, _VARIES if nothing is left."""
        self.places[key] = problems.path
        if _is_range(value) or (isinstance(value, list) and not _is_block_list(key, value)):
            return self._drawn(key, value, problems)
        if isinstance(value, list):
            entries = [
                self.fixed(f"{key}.{i}", entry, problems.inside((i,))) for i, entry in enumerate(value)
            ]
            # What varies leaves a gap, so that the others keep their places.
            return [None if isinstance(entry, _Varies) else entry for entry in entries]
        if isinstance(value, dict):
            block = {k: self.fixed(f"{key}.{k}", entry, problems.inside((k,))) for k, entry in value.items()}
            return {k: entry for k, entry in block.items() if not isinstance(entry, _Varies)}
        return value

    def _drawn(self, key: str, value: Block | list[Plain], problems: Problems) -> Plain | _Varies:
        """_VARIES for a range or a choice; the only value of a choice that leaves none."""
        kind, bounds = next(iter(value.items())) if isinstance(value, dict) else ("choice", value)
        if kind == "choice" and isinstance(bounds, list) and len(bounds) == 1:
            return bounds[0]
        inner = next(_ranges_inside(bounds), None) if kind == "choice" else None
        if inner:
            place, value = inner
            problems.add(
                (),
                f"{shown(value)} stands inside a value of a choice, which is fixed; write {key}.{place} as a key of "
                f"its own, or whole blocks of {key.partition('.')[0]} as alternatives, each with ranges of its own",
            )
            return _VARIES
        try:
            self.dimensions.append(_dimension(key, kind, bounds))
        except ValueError as error:
            problems.add((), str(error))
        return _VARIES


def _is_range(value: Plain) -> TypeGuard[Block]:
    return isinstance(value, dict) and len(value) == 1 and next(iter(value)) in RANGES


def _ranges_inside(value: Plain, depth: int = 0) -> Iterator[tuple[str, Block]]:
    """The ranges inside the values of a choice: where they stand in such a value, and what is written there."""
    if depth > 1 and _is_range(value) and isinstance(next(iter(value.values())), list):
        yield "", value
        return
    entries = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    for name, entry in entries:
        for place, found_range in _ranges_inside(entry, depth + 1):
            inner = f".{place}" if place else ""
            yield (f"{name}{inner}" if depth else place), found_range


def _is_block_list(key: str, value: list[Plain]) -> bool:
    """Whether a list is what the spec has there, blocks one after another, not a choice."""
    return key in LISTS and all(isinstance(entry, str | dict) for entry in value)


def _dimension(key: str, kind: str, bounds: Plain) -> Dimension:
    """What varies by `{kind: bounds}`.  Raises ValueError with what is wrong and what to write instead."""
    if kind == "choice":
        return Dimension(key, "choice", values=tuple(_choices(bounds)))
    low, high = _numbers(kind, bounds)
    if kind == "normal":
        if high <= 0:
            raise ValueError(
                f"got the deviation {figure(high, 6)}; write {{normal: [mean, deviation]}} with a deviation > 0"
            )
        return Dimension(key, kind, float(low), float(high))
    if low >= high:
        raise ValueError(
            f"the range [{figure(low, 6)}, {figure(high, 6)}] is empty; write the lower end first"
        )
    if kind.endswith("int") and not all(float(bound).is_integer() for bound in (low, high)):
        raise ValueError(f"got {shown(bounds)}; write two whole numbers")
    if kind in ("log", "log_int") and low <= 0:
        raise ValueError(
            f"the logarithm of {figure(low, 6)} does not exist; write a lower end > 0, such as {figure(high / 1000, 6)}"
        )
    return Dimension(key, kind, float(low), float(high))


def _choices(entries: Plain) -> list[Plain]:
    if not isinstance(entries, list) or not entries:
        raise ValueError(f"got {shown(entries)}; write a list of at least one value, or {_RANGE}")
    if any(entry in entries[:i] for i, entry in enumerate(entries)):
        raise ValueError(f"got {shown(entries)}, in which a value comes twice; write each once")
    return entries


def _numbers(kind: str, bounds: Plain) -> tuple[int | float, int | float]:
    match bounds:
        case [low, high] if is_number(low) and is_number(high) and math.isfinite(low) and math.isfinite(high):
            return low, high
    raise ValueError(f"got {shown(bounds)}; write two numbers: {{{kind}: [low, high]}}")


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
