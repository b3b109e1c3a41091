"""Settings of a spec as words in a table."""

from __future__ import annotations

import json
from collections.abc import Mapping

__all__ = ["setting_text", "settings_text"]


def settings_text(settings: Mapping[str, object], digits: int = 4) -> str:
    """`optimizer=adam  learning_rate=0.0123`: the last part of each key, all of it where that is not unique.

    The name of a block stands for the block.
    """
    keys = [key.removesuffix(".name") for key in settings]
    short = [key.rpartition(".")[2] for key in keys]
    names = [last if short.count(last) == 1 else key for key, last in zip(keys, short, strict=True)]
    values = settings.values()
    return "  ".join(
        f"{name}={setting_text(value, digits)}" for name, value in zip(names, values, strict=True)
    )


def setting_text(value: object, digits: int = 4) -> str:
    """A value, a float with this many digits."""
    if isinstance(value, float):
        return f"{value:.{digits}g}"
    return value if isinstance(value, str) else json.dumps(value)
