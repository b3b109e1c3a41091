"""From the names in a spec to functions with checked options: the folder is the registry."""

from nnrun.catalog.blocks import (
    KINDS,
    SUPPLIED,
    bind,
    bind_block,
    bind_one,
    check_names,
    details,
    entries,
    find,
    names,
    parameters,
    required,
    summary,
)
from nnrun.catalog.checked import Spec, user_files, user_names

__all__ = [
    "KINDS",
    "SUPPLIED",
    "Spec",
    "bind",
    "bind_block",
    "bind_one",
    "check_names",
    "details",
    "entries",
    "find",
    "names",
    "parameters",
    "required",
    "summary",
    "user_files",
    "user_names",
]
