"""The types of options in catalogue signatures: what a YAML value may be.

A catalogue function's signature is the schema of its YAML block, so its annotations say type and range:

    def momentum(learning_rate: Rate, momentum: Fraction = 0.9) -> ...

Five conventions give a plain annotation a meaning that YAML needs:

* a `float` option is a *knob*: it may vary inside one compiled program, so the function can be called
  with a traced scalar, and must not branch on it (but see `is_off`);
* `Steps` is written as a duration (`30 epochs`, `2000 steps`, `5%`, `1e6 examples`) and arrives as an int;
* `FilePath` is written relative to the spec's folder and arrives absolute;
* `list[Entry("layer")]` holds catalogue blocks, and arrives as a list of what those functions return;
* a NamedTuple is a record: it is written as a block of its fields, or as the first of them alone.

This module does not import jax, and pydantic only where a schema is built.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

from annotated_types import Ge, Gt, Le, Lt, MinLen

from nnrun import duration

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
    from pydantic_core import CoreSchema

__all__ = [
    "AtLeastZero",
    "Count",
    "DatePart",
    "Entry",
    "EntryMark",
    "FilePath",
    "FilePathMark",
    "FixedMark",
    "Fraction",
    "Patterns",
    "Positive",
    "Probability",
    "Rate",
    "Standardize",
    "Steps",
    "StepsMark",
    "Widths",
    "is_off",
]


class StepsMark(NamedTuple):
    """Marks an int option that YAML writes as a duration.

    units  the units that make sense here
    """

    units: tuple[str, ...] = ("steps", "epochs", "examples", "%")

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        from pydantic_core import core_schema

        def validate(value: object) -> duration.Duration:
            parsed = duration.parse(value)
            if parsed.unit not in self.units:
                raise ValueError(f"{parsed.unit} make no sense here; write {', '.join(self.units)}")
            return parsed

        return core_schema.no_info_plain_validator_function(validate)

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, object]:
        text = "a duration: 10 epochs, 2000 steps, 1e6 examples, 5%"
        return {"anyOf": [{"type": "string", "pattern": duration.PATTERN}, {"const": 0}], "description": text}


class FixedMark(NamedTuple):
    """Marks a float option that is no knob: the program is compiled for its value."""


class FilePathMark(NamedTuple):
    """Marks a str option that YAML writes relative to the spec's folder."""


class EntryMark(NamedTuple):
    """Marks an option that YAML writes as a catalogue block of this kind."""

    kind: str

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        from pydantic_core import core_schema

        return core_schema.any_schema()  # bound on its own, with its own places in messages

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, object]:
        return {"$ref": f"#/$defs/{self.kind}"}


Rate = Annotated[float, Ge(0)]  # learning rates, decay strengths: [0, ∞)
Positive = Annotated[float, Gt(0)]  # (0, ∞)
Fraction = Annotated[float, Ge(0), Lt(1)]  # momentum, dropout rate: [0, 1)
Probability = Annotated[float, Ge(0), Le(1)]  # [0, 1]
Count = Annotated[int, Ge(1)]  # units, window sizes: 1, 2, ...
Widths = Annotated[list[Count], MinLen(1)]  # units of successive layers
Patterns = Annotated[list[Annotated[str, MinLen(1)]], MinLen(1)]  # of paths of parameters: hidden_*/kernel
Steps = Annotated[int, StepsMark()]
FilePath = Annotated[str, FilePathMark()]
Standardize = Literal["feature", "image", "none"]
AtLeastZero = Annotated[int, Ge(0)]  # 0, 1, 2, ...
DatePart = Literal["days", "weekday", "month", "hour"]


def Entry(kind: str) -> Any:
    """The type of an option that is itself a catalogue block of `kind`."""
    return Annotated[Any, EntryMark(kind)]


def is_off(rate: object) -> bool:
    """Whether a rate is the plain number 0, that is, the feature is absent from the program.

    A traced rate is never off, even where its value is 0: that it may vary is part of the program.
    """
    return isinstance(rate, (int, float)) and rate == 0
