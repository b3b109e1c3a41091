"""Options that belong together: a NamedTuple in a signature, written as a block of its fields or as the first alone.

class DropConnect(NamedTuple):        dropconnect: 0.5
    rate: Fraction                    dropconnect: {rate: 0.5, mask: example}
    mask: Mask = "batch"

Both arrive as DropConnect(0.5, ...), so everything behind the reading of a spec knows one form.
"""

from __future__ import annotations

import inspect
import json
import re
import types
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import (
    TYPE_CHECKING,
    Any,
    Literal,
    NamedTuple,
    TypeGuard,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

from nnrun.errors import one_line
from nnrun.options import EntryMark, FilePathMark, StepsMark
from nnrun.spec.plain import Block, Plain

if TYPE_CHECKING:
    from pydantic import BaseModel, GetCoreSchemaHandler, GetJsonSchemaHandler
    from pydantic_core import CoreSchema

__all__ = [
    "Form",
    "RecordMark",
    "as_block",
    "form_of",
    "is_record",
    "meant",
    "record_of",
    "types_of",
    "written",
]


class Form(NamedTuple):
    """How a record is written.

    fields    its keys; the first alone is the short form
    choices   the values of the first one, where they are a list of words
    """

    fields: tuple[str, ...]
    choices: tuple[Plain, ...] = ()

    def __str__(self) -> str:
        return "{" + ", ".join(f"{field}: ..." for field in self.fields) + "}"


def is_record(value: object) -> TypeGuard[type[NamedTuple]]:
    """Whether a type is that of a record."""
    return isinstance(value, type) and issubclass(value, tuple) and bool(getattr(value, "_fields", ()))


def record_of(hint: object) -> type[NamedTuple] | None:
    """The record that an option is, perhaps beside null; None for every other option."""
    alternatives = get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)
    records = [part for part in alternatives if is_record(part)]
    return records[0] if records and set(alternatives) <= {*records[:1], types.NoneType} else None


@lru_cache(256)
def types_of(record: type[NamedTuple]) -> Mapping[str, object]:
    """The fields of a record with their types.

    Raises TypeError for one that needs more than its value: a block, a path or a duration is an option of its own.
    """
    hints = get_type_hints(record, include_extras=True)
    for field, hint in hints.items():
        parts = _parts(hint)
        if any(isinstance(part, EntryMark | FilePathMark | StepsMark) or is_record(part) for part in parts):
            raise TypeError(
                f"{record.__name__}.{field}: a record holds numbers, text and lists of them; make this an option"
            )
    return hints


def _parts(hint: object) -> list[object]:
    """The hint and all that it is made of, marks included."""
    inner = [*get_args(hint), *getattr(hint, "__metadata__", ())]
    return [hint, *(part for item in inner for part in _parts(item))]


def form_of(record: type[NamedTuple]) -> Form:
    """How a record is written."""
    hints = types_of(record)
    first = next(iter(hints.values()))
    return Form(tuple(hints), get_args(first) if get_origin(first) is Literal else ())


def as_block(value: NamedTuple) -> Block:
    """A record as YAML data, with all its fields."""
    return dict(zip(value._fields, value, strict=True))


def written(value: NamedTuple) -> Plain:
    """A record as one would write it: the first field alone where the others have their defaults."""
    block, defaults = as_block(value), value._field_defaults
    first, *others = block
    return (
        block[first]
        if all(field in defaults and block[field] == defaults[field] for field in others)
        else block
    )


class RecordMark(NamedTuple):
    """Marks the field of an options model that holds a record.

    values_of   the model of the record -> its values
    optional    whether null is none
    """

    record: type[NamedTuple]
    values_of: Callable[[BaseModel], dict[str, object]]
    optional: bool

    @property
    def form(self) -> Form:
        """How it is written."""
        return form_of(self.record)

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        from pydantic_core import core_schema

        def widened(value: object) -> object:
            return value if isinstance(value, dict) else {self.form.fields[0]: value}

        def recorded(model: BaseModel) -> NamedTuple:
            return self.record._make(self.values_of(model).values())

        block = core_schema.no_info_before_validator_function(widened, handler(source))
        result = core_schema.no_info_after_validator_function(recorded, block)
        return core_schema.nullable_schema(result) if self.optional else result

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        inner: Any = schema
        block = handler.resolve_ref_schema(handler(inner["schema"] if self.optional else inner))
        about = inspect.cleandoc(self.record.__doc__ or "").partition("\n")[0]
        short = {
            key: value for key, value in block["properties"][self.form.fields[0]].items() if key != "default"
        }
        nothing = [{"type": "null"}] if self.optional else []
        return {"anyOf": [short, {**block, "description": about}, *nothing]}


def meant(key: str, value: Plain, forms: Mapping[str, Form]) -> str | None:
    """What to write for a key that means a field of a record: `dropconnect: {rate: ..., mask: example}`; or None."""
    fields = [(option, field, form) for option, form in forms.items() for field in form.fields]
    named = [
        (option, form) for option, form in forms.items() if key.removesuffix(f"_{option}") in form.choices
    ]
    if named and value is True:
        return f"{named[0][0]}: {key.removesuffix(f'_{named[0][0]}')}"
    if named:
        *others, last = map(str, named[0][1].choices)
        return f"{named[0][0]}: {', '.join(others)} or {last}"
    exact = [part for part in fields if key in (f"{part[0]}_{part[1]}", part[1])]
    alike = [part for part in fields if key.endswith(f"_{part[1]}") and part[1] != part[2].fields[0]]
    return " or ".join(_with(*part, value) for part in exact or alike) or None


def _with(option: str, field: str, form: Form, value: Plain) -> str:
    """The option with this value of a field."""
    first, text = form.fields[0], _shown(value)
    return f"{option}: {text}" if field == first else f"{option}: {{{first}: ..., {field}: {text}}}"


def _shown(value: Plain) -> str:
    is_word = isinstance(value, str) and re.fullmatch(r"[a-z]\w*", value)
    return str(value) if is_word else one_line(json.dumps(value, ensure_ascii=False), 40)
