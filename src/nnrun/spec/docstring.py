"""What a docstring says about each argument: lines of `name   what it is`, more indented lines continue."""

from __future__ import annotations

import inspect
import re
from collections.abc import Collection

__all__ = ["arguments"]

_ARGUMENT = re.compile(r"(?P<names>[A-Za-z_]\w*(?:, [A-Za-z_]\w*)*)\s{2,}(?P<text>\S.*)")


def arguments(doc: str | None, known: Collection[str]) -> dict[str, str]:
    """{argument: description} for the arguments among `known` that the docstring has a line for."""
    descriptions: dict[str, str] = {}
    names: list[str] = []
    for line in inspect.cleandoc(doc or "").splitlines()[1:]:
        match = _ARGUMENT.fullmatch(line)
        if match:
            names = [name for name in match["names"].split(", ") if name in known]
            descriptions |= dict.fromkeys(names, match["text"])
        elif line.startswith(" "):
            descriptions |= {name: f"{descriptions[name]} {line.strip()}" for name in names}
        else:
            names = []
    return descriptions
