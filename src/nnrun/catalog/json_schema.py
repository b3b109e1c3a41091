"""The JSON Schema of a spec, for editors: completion, descriptions and mistakes shown while typing.

It comes from what checks a spec: the catalogue's signatures and docstrings, and the sections.  It cannot say
everything (which file exists, whether a batch is larger than the data): `nnrun train` checks that before it trains.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema

from nnrun import catalog, spec
from nnrun.catalog import listing
from nnrun.spec import models

__all__ = ["json_schema"]

_Json = dict[str, Any]
_DEFS = "#/$defs/"
_ENTRY = "nnrun-entry"
_USER_NAME = r"^[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*$"
_RUN_NAME = r"^(?!\.)[A-Za-z0-9._-]{1,40}$"
_ABOUT = {
    "data": "what is learned from",
    "augment": "random changes of the examples, in training only, one after another",
    "model": "the network",
    "loss": "what is minimised, and what is reported beside it",
    "metric": "what is reported of the validation and test parts beside what the loss reports",
    "penalty": "what is added to the loss for the parameters themselves",
    "average": "running averages of the parameters, evaluated beside them",
    "optimizer": "how a step follows from the gradient",
    "schedule": "how the learning rate changes over the run: a factor in [0, 1]",
}


def json_schema() -> _Json:
    """The schema of a whole spec, JSON Schema draft 2020-12.  Imports every entry of the catalogue."""
    definitions: _Json = {}
    for kind in listing.SPEC_KINDS:
        definitions[kind] = _kind(kind, spec.COMMON.get(kind))
    for kind in (_nested() & set(spec.COMMON)) - {"optimizer"}:  # inside others without the common keys
        definitions[f"inner_{kind}"] = _kind(kind, None)
    properties: _Json = {
        "name": {
            "description": "begins the name of the run folder; default: the name of the file",
            "anyOf": [{"type": "string", "pattern": _RUN_NAME}, {"type": "null"}],
        }
    }
    for kind, default in spec.BLOCKS.items():
        about = {"description": _ABOUT.get(kind, kind)}
        properties[kind] = about | (_with_default(kind, default) if default else {"$ref": f"#/$defs/{kind}"})
    for key, kind in spec.LISTS.items():
        block = {"$ref": f"#/$defs/{kind}"}
        several = [block, {"type": "array", "items": block}, {"type": "null"}]
        properties[key] = {"anyOf": several, "description": _ABOUT.get(kind, kind)}
    definitions["tracker"] = _kind("tracker", None)
    tracker = {"$ref": f"{_DEFS}tracker"}
    properties[spec.TRACK] = {
        "anyOf": [tracker, {"type": "array", "items": tracker}, {"type": "null"}],
        "description": "where a run is sent while it trains; --track replaces it",
    }
    for section, model in spec.SECTIONS.items():
        fields = _model(model, definitions)
        properties[section] = fields if fields.get("required") else {"anyOf": [fields, {"type": "null"}]}
        properties[section]["description"] = _first_line(model.__doc__)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "nnrun spec",
        "type": "object",
        "properties": properties,
        "required": _required(),
        "additionalProperties": False,
        "$defs": definitions,
    }


def _with_default(kind: str, default: str) -> _Json:
    """What a top-level block has beside the alternatives of its kind if its name may be left out."""
    unnamed = _entry(kind, default, spec.COMMON.get(kind))
    unnamed["required"].remove("name")
    return {"default": default, "anyOf": [unnamed, {"$ref": f"#/$defs/{kind}"}]}


def _nested() -> set[str]:
    """The kinds of which there are blocks inside other blocks."""
    entries = [listing.entries(kind, name) for kind in listing.SPEC_KINDS for name in listing.names(kind)]
    return {kind for inner in entries for kind in inner.values()}


def _required() -> list[str]:
    """The top-level keys that a spec must have."""
    required = [kind for kind, default in spec.BLOCKS.items() if default is None]
    for key, model in spec.SECTIONS.items():
        required += [key] if any(field.is_required() for field in models.keys(model).values()) else []
    return required


def _kind(kind: str, common: type[BaseModel] | None) -> _Json:
    """The blocks of a kind: one for each entry, its name alone where that is enough, the user's own code."""
    blocks = {name: _entry(kind, name, common) for name in listing.names(kind)}
    alone = [name for name, block in blocks.items() if block["required"] == ["name"]]
    user_block: _Json = {
        "title": "module:function",
        "description": "a function of your own, in a file beside the spec",
        "type": "object",
        "properties": {"name": {"type": "string", "pattern": _USER_NAME}},
        "required": ["name"],
    }
    names = [{"enum": alone}] if alone else []
    return {"anyOf": [*names, {"type": "string", "pattern": _USER_NAME}, *blocks.values(), user_block]}


def _entry(kind: str, name: str, common: type[BaseModel] | None) -> _Json:
    supplied = listing.SUPPLIED.get(kind, frozenset())
    options = _model(models.options_model(catalog.find(kind, name), supplied), {})
    shared = _model(common, {})["properties"] if common else {}
    return {
        "title": name,
        "description": listing.summary(kind, name),
        "type": "object",
        "properties": {"name": {"const": name}, **shared, **options["properties"]},
        "required": ["name", *options.get("required", ())],
        "additionalProperties": False,
    }


def _model(model: type[BaseModel], definitions: _Json) -> _Json:
    """A pydantic model's schema; the models inside it go to `definitions`."""
    raw = model.model_json_schema(ref_template=_DEFS + "{model}", schema_generator=_Generator)
    result = _with_references(raw)
    definitions |= result.pop("$defs", {})
    return {"properties": {}, **result}


class _Generator(GenerateJsonSchema):
    """pydantic refuses references to what it has not defined itself, so those to kinds get another key."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False  # `Learning Rate` beside learning_rate adds nothing

    def generate_inner(self, schema: Any) -> _Json:
        inner = super().generate_inner(schema)
        kind = str(inner.get("$ref", "")).removeprefix(_DEFS)
        return {_ENTRY: kind} if kind in listing.SPEC_KINDS else inner


def _with_references(value: Any) -> Any:
    """The schema with references to kinds where the generator left their names."""
    if isinstance(value, list):
        return [_with_references(item) for item in value]
    if not isinstance(value, dict):
        return value
    kind = value.get(_ENTRY)
    if kind:
        return {"$ref": f"{_DEFS}{'inner_' if kind in spec.COMMON and kind != 'optimizer' else ''}{kind}"}
    return {key: _with_references(item) for key, item in value.items()}


def _first_line(doc: str | None) -> str:
    return (doc or "").strip().partition("\n")[0]
