"""From the names in a spec to functions with checked options: the folder is the registry."""

from nnrun.catalog.blocks import bind, bind_block, check_names, find
from nnrun.catalog.checked import Spec, imported_files, user_files, user_names
from nnrun.catalog.listing import (
    KINDS,
    SUPPLIED,
    as_data,
    described,
    details,
    durations,
    entries,
    kinds_of,
    names,
    parameters,
    required,
    summary,
)
from nnrun.catalog.short import read, short_field
from nnrun.catalog.single import bind_one, make_one

__all__ = [
    "KINDS",
    "SUPPLIED",
    "Spec",
    "as_data",
    "bind",
    "bind_block",
    "bind_one",
    "check_names",
    "described",
    "details",
    "durations",
    "entries",
    "find",
    "imported_files",
    "kinds_of",
    "make_one",
    "names",
    "parameters",
    "read",
    "required",
    "short_field",
    "summary",
    "user_files",
    "user_names",
]
