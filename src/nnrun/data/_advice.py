"""What to write into the data block: options as they should be, with what the spec has there already."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from nnrun.data._request import TableRequest
from nnrun.data._yaml_name import quoted

__all__ = ["ForMissing", "listed", "mapped", "missing_rules", "without"]

_MOST_REPEATED = 12  # entries of the spec that are written again; of more, only what is to be added is said
_MOST_NAMED = 4  # columns of numbers for each of which a rule is proposed by its name
_ALL = "*"


class ForMissing(NamedTuple):
    """A feature with missing cells that no rule is for, and whether it is a category."""

    name: str
    is_category: bool


def listed(option: str, before: Sequence[str], more: Iterable[str]) -> str:
    """`write data.OPTION: [...]` with names beside those that the spec has."""
    added = [quoted(name) for name in more if name not in before]
    if len(before) > _MOST_REPEATED:
        return f"add {', '.join(added)} to data.{option}"
    return f"write data.{option}: [{', '.join([*map(quoted, before), *added])}]"


def without(option: str, names: Iterable[str]) -> str:
    """`leave ... out of data.OPTION`."""
    return f"leave {', '.join(map(quoted, names))} out of data.{option}"


def mapped(option: str, before: Mapping[str, object], more: Mapping[str, object]) -> str:
    """`write data.OPTION: {...}` with entries beside those that the spec has."""
    added = {name: value for name, value in more.items() if before.get(name) != value}
    if len(before) > _MOST_REPEATED:
        return f"add {_entries(added)} to data.{option}"
    return f"write data.{option}: {{{_entries({**before, **added})}}}"


def _entries(values: Mapping[str, object]) -> str:
    return ", ".join(f"{quoted(name)}: {_value(value)}" for name, value in values.items())


def _value(value: object) -> str:
    return f"[{', '.join(map(_value, value))}]" if isinstance(value, list) else str(value)


def missing_rules(columns: Sequence[ForMissing], request: TableRequest) -> str:
    """What to write into data.missing for features that no rule of the spec is for; what it has stays as it is."""
    before = request.cells.missing
    kept = {**before} if not isinstance(before, str) else {_ALL: before} if before != "refuse" else {}
    numbers = [name for name, is_category in columns if not is_category]
    categories = {name: "category" for name, is_category in columns if is_category}
    if len(numbers) <= _MOST_NAMED or _ALL in kept:
        return mapped("missing", kept, dict.fromkeys(numbers, "median") | categories)
    for_all = f" (for these {len(numbers)} columns and all other numbers)"
    if not kept and not categories:
        return f"write data.missing: median{for_all}"
    return mapped("missing", kept, {**categories, _ALL: "median"}) + for_all
