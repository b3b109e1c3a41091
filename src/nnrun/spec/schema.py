"""Values checked against strict models, and what is wrong with them in our words."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeGuard, TypeVar

from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from nnrun.errors import one_line, remark
from nnrun.spec import record, scalar
from nnrun.spec.models import forms, keys
from nnrun.spec.plain import Block, Plain, entry
from nnrun.spec.problem import Path, Problems
from nnrun.spec.record import Form

__all__ = ["check", "nearest", "shown", "unknown"]

Model = TypeVar("Model", bound=BaseModel)
_CONSTRAINTS = {
    "greater_than": ">",
    "greater_than_equal": "≥",
    "less_than": "<",
    "less_than_equal": "≤",
}


def check(model: type[Model], block: Plain, problems: Problems) -> Model | None:
    """The block as an instance of the model, or None and a problem for each value that is wrong."""
    try:
        return model.model_validate(block)
    except ValidationError as error:
        items_at: dict[Path, list[ErrorDetails]] = {}
        for item in error.errors(include_url=False):
            items_at.setdefault(_written(item, block, model), []).append(item)
    for path, items in items_at.items():
        problems.add(path, _explain(items, path, model, block))
    return None


_ALIASES = {  # what other tools call it
    "lr": "learning_rate", "epochs": "duration", "steps": "duration", "rho": "momentum", "inputs": "features",
    "bs": "batch_size", "wd": "weight_decay", "layers": "hidden", "units": "hidden", "label": "target",
}  # fmt: skip


def nearest(name: object, known: Iterable[str]) -> str:
    """`did you mean X?` for a misspelt name, or the known names."""
    known = sorted(known)
    text = str(name)[:64]
    by_case = {key.lower(): key for key in known}
    close = difflib.get_close_matches(text.lower().replace("-", "_"), by_case, n=1, cutoff=0.6)
    alias = _ALIASES.get(text.lower())
    odd = remark(text)
    if alias in by_case or close:
        return f"{odd}did you mean {by_case[alias if alias in by_case else close[0]]}?"
    return odd + f"write one of: {', '.join(known)}" if known else "remove it"


def unknown(key: str, value: Plain, known: Iterable[str], records: Mapping[str, Form]) -> str:
    """What is wrong with a key that there is not, and what to write instead.

    records   those of the options that are records
    """
    meant = record.meant(key, value, records)
    return f"unknown key; {f'did you mean {meant}?' if meant else nearest(key, known)}"


def shown(value: object, limit: int = 60) -> str:
    """A value as it could be written in a spec, on one line of at most `limit` characters."""
    return one_line(json.dumps(value, ensure_ascii=False, default=str), limit)


def _written(item: ErrorDetails, block: Plain, model: type[BaseModel]) -> Path:
    """The keys of an error's location that a spec contains: pydantic adds the types of unions to them."""
    names: dict[str | int, str] = {name: field.alias or name for name, field in model.model_fields.items()}
    path: list[str | int] = []
    last = len(item["loc"]) - 1
    for i, key in enumerate(item["loc"]):
        if _has(block, key):
            path.append(key)
            block = entry(block, key)
        elif (i == 0 or (i == last and item["type"] == "missing")) and isinstance(block, dict):
            path.append(names.get(key, str(key)))  # not written: missing, or the default is wrong
            block = None
    return tuple(path)


def _has(value: Plain, key: str | int) -> TypeGuard[Block | list[Plain]]:
    """Whether a value is a block that has this key, or a list and the key is the number of an entry."""
    return key in value if isinstance(value, dict) else isinstance(value, list) and isinstance(key, int)


def _explain(items: list[ErrorDetails], path: Path, model: type[BaseModel], block: Plain) -> str:
    """What is wrong with one value; several items are the alternatives of a union."""
    first, inner = items[0], _inner(model, path[:-1])
    match first["type"]:
        case "extra_forbidden":
            return unknown(str(path[-1]), first["input"], keys(inner), forms(inner))
        case "missing":
            about = keys(inner)[str(path[-1])].description
            return f"missing; add `{path[-1]}: ...`" + (f" ({one_line(about, 120)})" if about else "")
    is_default = bool(path) and isinstance(block, dict) and path[0] not in block
    got = f"{'the default is' if is_default else 'got'} {shown(first['input'])}"
    field = _field_at(model, first["loc"])
    if first["type"] == "value_error":
        reason = remark(first["input"]) + one_line(first.get("ctx", {})["error"])
        about = f"; needed: {field.description}" if field and field.description and "; " not in reason else ""
        return f"{got}: {reason}{about}"
    remedies = dict.fromkeys(_remedy(item, field) for item in items)
    form = forms(inner).get(str(path[-1])) if path else None
    if form and first["type"] not in _CONSTRAINTS and not (form.choices and isinstance(first["input"], str)):
        remedies[str(form)] = None
    return f"{got}; {remark(first['input'])}write {' or '.join(remedies)}"


def _remedy(item: ErrorDetails, field: FieldInfo | None) -> str:
    kind, context, value = item["type"], item.get("ctx", {}), item["input"]
    if kind in _CONSTRAINTS:
        return _interval(field) or f"a value {_CONSTRAINTS[kind]} {next(iter(context.values()))}"
    match kind:
        case "literal_error":
            return str(context["expected"])
        case "too_short":
            return f"a list of at least {context['min_length']}"
        case "list_type":
            return f"a list: [{shown(value, 40)}]" if not isinstance(value, dict) else "a list in [ ]"
        case "model_type" | "dict_type" | "model_attributes_type":
            return "a block of keys"
        case "int_type" | "int_from_float":
            integral = isinstance(value, float) and value.is_integer() and abs(value) < 1e15
            return str(int(value)) if integral else "a whole number" + _unquoted(value)
        case "float_type":
            return "a number" + _unquoted(value)
        case "bool_type":
            return "true or false" + _unquoted(value)
        case "string_type":
            form = "one text, not a list" if isinstance(value, list) else "text"
            if isinstance(value, dict) and len(value) == 1:  # the file x: y.csv
                [(before, after)] = value.items()
                text = f"'{one_line(f'{before}: {after}', 40)}'"
                return f'text in quotes: {text}; a shell takes those away, so there "{text}"'
            return f"text in quotes: '{shown(value, 40)}'" if _is_scalar(value) else form
    return f"what fits: {one_line(item['msg'], 120).lower()}"


def _is_scalar(value: object) -> bool:
    return isinstance(value, bool | int | float)


def _unquoted(value: object) -> str:
    """A hint for a number or bool that was written in quotes."""
    try:
        is_quoted = isinstance(value, str) and _is_scalar(scalar.value(value))
    except ValueError:
        is_quoted = False
    return " without quotes" if is_quoted else ""


def _interval(field: FieldInfo | None) -> str | None:
    """`a value in [0, 1)` where the type has both ends."""
    marks: Sequence[object] = field.metadata if field else ()
    low = [f"[{m.ge}" for m in marks if isinstance(m, Ge)] + [f"({m.gt}" for m in marks if isinstance(m, Gt)]
    high = [f"{m.le}]" for m in marks if isinstance(m, Le)] + [f"{m.lt})" for m in marks if isinstance(m, Lt)]
    return f"a value in {low[0]}, {high[0]}" if low and high else None


def _inner(model: type[BaseModel], inside: Path) -> type[BaseModel]:
    """The model, or the sub-model that the path leads to."""
    for key in inside:
        field = keys(model).get(str(key))
        types = [field.annotation, *getattr(field.annotation, "__args__", ())] if field else []
        model = next((t for t in types if isinstance(t, type) and issubclass(t, BaseModel)), model)
    return model


def _field_at(model: type[BaseModel], location: Path) -> FieldInfo | None:
    """The field that an error is about: the innermost one on the way to it."""
    fields = [keys(_inner(model, location[:i])).get(str(key)) for i, key in enumerate(location)]
    return next((field for field in reversed(fields) if field), None)
