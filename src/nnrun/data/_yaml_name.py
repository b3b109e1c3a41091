"""The name of a column as a spec has it."""

from __future__ import annotations

import re

__all__ = ["quoted"]

# What some reader of YAML takes for something else.
_NO_NAMES = ("true", "false", "null", "yes", "no", "on", "off")


def quoted(name: str) -> str:
    """A name as YAML takes it inside brackets, in full: half a name would name no column."""
    plain = re.fullmatch(r"[A-Za-z_][\w -]*", name) and name.lower() not in _NO_NAMES
    if plain and name.isprintable() and not name.endswith(" "):
        return name
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    return '"{}"'.format(
        "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in escaped)
    )
