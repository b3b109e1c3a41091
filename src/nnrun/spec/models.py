"""Signatures as schemas: strict pydantic models from functions."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import lru_cache
from typing import Annotated, Any, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, create_model
from pydantic.fields import FieldInfo

from nnrun.spec import docstring, record
from nnrun.spec.record import Form, RecordMark

__all__ = ["STRICT", "forms", "keys", "options_model", "values"]

STRICT = ConfigDict(
    strict=True,
    extra="forbid",
    allow_inf_nan=False,
    validate_default=True,
    frozen=True,
    arbitrary_types_allowed=True,
)


@lru_cache(256)
def options_model(function: Callable, supplied: frozenset[str]) -> type[BaseModel]:
    """A strict model of the options of a catalogue function, each with its line of the docstring.

    supplied   parameters that nnrun fills in itself, which a spec must not name
    Raises TypeError where a parameter has no annotation: without a type nothing can be checked.
    """
    title = getattr(function, "__name__", type(function).__name__)
    hints = get_type_hints(function, include_extras=True)
    parameters = inspect.signature(function).parameters
    about = docstring.arguments(function.__doc__, parameters)
    fields: dict[str, Any] = {}
    for name, parameter in parameters.items():
        if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
            raise TypeError(f"{title}({name}): options of a spec are passed by name; write plain parameters")
        if name == "name":
            raise TypeError(f"{title}(name): a spec finds the function by this key; use another word")
        if name in supplied:
            continue
        if name not in hints:
            raise TypeError(f"{title}({name}) has no type; annotate it as in `{name}: float`")
        default = ... if parameter.default is parameter.empty else parameter.default
        fields |= _field(name, _hint(hints[name]), default, about)
    return create_model(title, __config__=STRICT, **fields)


def _field(name: str, hint: Any, default: Any, about: dict[str, str]) -> dict[str, Any]:
    """The field of a model for an option."""
    default = record.written(default) if record.is_record(type(default)) else default
    # A prefix, because an option may have the name of an attribute of BaseModel, such as `copy`.
    return {f"option_{name}": (hint, Field(default, alias=name, description=about.get(name)))}


def _hint(hint: Any) -> Any:
    """The type of an option, that of a record with a model of its fields."""
    type_of_record = record.record_of(hint)
    if type_of_record is None:
        return hint
    hints, defaults = record.types_of(type_of_record), type_of_record._field_defaults
    about, fields = docstring.arguments(type_of_record.__doc__, hints), {}
    for name, inner in hints.items():
        fields |= _field(name, inner, defaults.get(name, ...), about)
    model = create_model(type_of_record.__name__, __config__=STRICT, **fields)
    return Annotated[model, RecordMark(type_of_record, values, hint is not type_of_record)]


def keys(model: type[BaseModel]) -> dict[str, FieldInfo]:
    """The fields of a model by the keys that a spec writes."""
    return {field.alias or name: field for name, field in model.model_fields.items()}


def values(checked: BaseModel) -> dict[str, Any]:
    """The values of a model's instance by the keys that a spec writes."""
    return {field.alias or name: getattr(checked, name) for name, field in type(checked).model_fields.items()}


def forms(model: type[BaseModel]) -> dict[str, Form]:
    """How those options are written that are records."""
    marks = {key: mark for key, field in keys(model).items() for mark in field.metadata}
    return {key: mark.form for key, mark in marks.items() if isinstance(mark, RecordMark)}
