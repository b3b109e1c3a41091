"""A catalogue function with its options, and calling it with knobs.

A knob is a float option: inside a compiled program it is a traced scalar, so that one program serves every
value of it (a learning rate, a dropout rate).  An option that is exactly 0 stays a plain 0: what it switches
is then absent from the program.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Annotated, Any, NamedTuple, TypeGuard, get_args, get_origin, get_type_hints

from nnrun.duration import Clock, Duration
from nnrun.options import EntryMark, FilePathMark, FixedMark, is_off
from nnrun.spec.plain import Block, Plain
from nnrun.spec.record import as_block, types_of

__all__ = [
    "Bound",
    "WrongResultError",
    "call",
    "entry_kind",
    "hints",
    "holds_list",
    "invoke",
    "is_file_path",
    "knobs",
    "plain",
    "structure",
    "walk",
]


class Bound(NamedTuple):
    """A catalogue function and the options of one block, checked."""

    kind: str
    name: str
    function: Callable
    options: dict[str, Any]  # numbers, text, lists, Durations, records, Bounds and lists of Bounds
    common: dict[str, Any]  # keys that every block of the kind has


@lru_cache(256)
def hints(function: Callable) -> Mapping[str, Any]:
    """The annotations of a function's parameters, with their marks."""
    return get_type_hints(function, include_extras=True)


def _parts(hint: Any) -> list[object]:
    """The hint and all that it is made of, marks included."""
    inner = [get_args(hint)[0], *hint.__metadata__] if get_origin(hint) is Annotated else list(get_args(hint))
    return [hint, *(part for item in inner for part in _parts(item))]


def entry_kind(hint: object) -> str | None:
    """The kind of catalogue block that an option holds (alone or in a list), or None."""
    return next((part.kind for part in _parts(hint) if isinstance(part, EntryMark)), None)


def holds_list(hint: object) -> bool:
    """Whether an option is a list."""
    return get_origin(hint) is list or any(holds_list(part) for part in get_args(hint))


def is_file_path(hint: object) -> bool:
    """Whether an option is a path relative to the spec's folder."""
    return any(isinstance(part, FilePathMark) for part in _parts(hint))


def _is_knob(hint: object, value: object) -> bool:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    may_vary = not any(isinstance(part, FixedMark) for part in _parts(hint))
    return (
        is_number
        and may_vary
        and not is_off(value)
        and get_origin(hint) is not list
        and float in _parts(hint)
    )


def knobs(bound: Bound) -> dict[str, Any]:
    """The knobs of a block, of its records and of the blocks inside it: {option: number or nested knobs}."""
    types = hints(bound.function)
    result: dict[str, Any] = {}
    for key, value in bound.options.items():
        if isinstance(value, Bound):
            result[key] = knobs(value)
        elif isinstance(value, list) and value and isinstance(value[0], Bound):
            result[key] = [knobs(item) for item in value]
        elif _is_record(value):
            fields = types_of(type(value))
            inner = {
                field: float(part)
                for field, part in as_block(value).items()
                if isinstance(part, (int, float)) and _is_knob(fields[field], part)
            }
            result |= {key: inner} if inner else {}
        elif isinstance(value, (int, float)) and _is_knob(types[key], value):
            result[key] = float(value)
    if bound.kind == "optimizer":  # the common keys of data and schedule are structure
        result |= {k: v for k, v in bound.common.items() if isinstance(v, float) and not is_off(v)}
    return result


def _is_record(value: object) -> TypeGuard[NamedTuple]:
    """Whether the value of an option is a record."""
    return isinstance(value, tuple) and not isinstance(value, Bound | Duration)


class WrongResultError(TypeError):
    """A catalogue function (the user's own) returned something else than its kind promises."""

    def __init__(self, bound: Bound, result: object) -> None:
        self.kind = bound.kind
        needed = _RESULTS[bound.kind][1]
        super().__init__(f"{bound.name} returned {type(result).__name__}; it must return {needed}")


_TRANSFORM = "an optax transform or a Method (nnrun.types.Method)"
_RESULTS: dict[str, tuple[list[tuple[str, ...]], str]] = {  # attributes that results have, and their name
    "data": ([("train", "test", "classes")], "a Source (nnrun.types.Source)"),
    "model": ([("init", "apply")], "a Layer (nnrun.types.Layer), or a Flax or Equinox module"),
    "layer": ([("init", "apply")], "a Layer (nnrun.types.Layer)"),
    "loss": ([("value", "terms", "metrics")], "a Loss (nnrun.types.Loss)"),
    "augment": ([("__call__",)], "a function (key, batch) -> batch"),
    "metric": ([("value", "rising", "classifies", "each")], "a Measure (nnrun.types.Measure)"),
    "penalty": ([("__call__",)], "a function params -> number"),
    "optimizer": ([("init", "update"), ("init", "step")], _TRANSFORM),
    "schedule": ([("__call__",), ("init", "factor", "react")], "a function step -> factor"),
    "surface": ([("value", "window", "goal")], "a Surface (nnrun.types.Surface)"),
    "average": ([("init", "update", "value")], "an Average (nnrun.types.Average)"),
    "tracker": ([("begin",)], "a Tracker (nnrun.tracking.Tracker)"),
    "search": ([("ask", "rungs")], "a Search (nnrun.space.Search)"),
}


def call(bound: Bound, knobs: dict[str, Any], clock: Clock, **supplied: Any) -> Any:
    """Calls the function: knobs in place of its float options, durations in steps, inner blocks called first.

    supplied   what nnrun fills in; passed on where the function asks for it and the spec did not answer
    Raises WrongResultError.
    """
    result = invoke(bound, knobs, clock, **supplied)
    if not _is_result(bound.kind, result):
        raise WrongResultError(bound, result)
    return result


def invoke(bound: Bound, knobs: dict[str, Any], clock: Clock, **supplied: Any) -> Any:
    """Like `call`, but whatever the function returns is right; of inner blocks it is checked."""
    options: dict[str, Any] = {}
    for key, value in bound.options.items():
        if isinstance(value, Bound):
            options[key] = call(value, knobs[key], clock, **supplied)
        elif isinstance(value, list) and value and isinstance(value[0], Bound):
            options[key] = [
                call(item, knob, clock, **supplied) for item, knob in zip(value, knobs[key], strict=True)
            ]
        elif isinstance(value, Duration):
            options[key] = value.steps(clock)
        elif _is_record(value):
            options[key] = value._replace(**knobs.get(key, {}))
        else:
            options[key] = knobs.get(key, value)
    parameters = inspect.signature(bound.function).parameters
    filled = {key: value for key, value in supplied.items() if key in parameters and key not in options}
    return bound.function(**options, **filled)


def _is_result(kind: str, result: object) -> bool:
    alternatives, _ = _RESULTS.get(kind, ([()], ""))
    if isinstance(result, type):  # its methods are there, but it is not what they are called on
        return False
    return any(all(hasattr(result, name) for name in attributes) for attributes in alternatives)


def walk(bound: Bound) -> Iterator[Bound]:
    """The block and all blocks inside it."""
    yield bound
    for value in bound.options.values():
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, Bound):
                yield from walk(item)


def plain(bound: Bound) -> Block:
    """The block as YAML data, every default filled in."""
    block = {"name": bound.name, **bound.options, **bound.common}
    return {key: _plain(value) for key, value in block.items()}


def structure(bound: Bound, fixed: bool = False) -> Block:
    """The block as YAML data with its knobs left blank: equal for blocks that one compiled program serves.

    fixed   whether its float options are no knobs: of the user's own model, which may be another library's
    """
    varying = {} if fixed else knobs(bound)
    block = {"name": bound.name, **bound.options, **bound.common}
    return {key: _blank(value, varying.get(key), fixed) for key, value in block.items()}


def _blank(value: Any, knob: Any, fixed: bool) -> Plain:
    if isinstance(value, Bound):
        return structure(value, fixed)
    if isinstance(value, list):
        return [_blank(item, None, fixed) for item in value]
    if _is_record(value):
        return {
            field: _blank(part, (knob or {}).get(field), fixed) for field, part in as_block(value).items()
        }
    return _plain(value) if knob is None else "knob"


def _plain(value: Any) -> Plain:
    if isinstance(value, Bound):
        return plain(value)
    if isinstance(value, Duration):
        return str(value)
    if _is_record(value):
        return {field: _plain(part) for field, part in as_block(value).items()}
    return [_plain(item) for item in value] if isinstance(value, list) else value
