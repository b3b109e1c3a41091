"""Settings of a spec as words in a table."""

from __future__ import annotations

import json
from collections.abc import Mapping

__all__ = ["setting_text", "settings_text"]


def settings_text(settings: Mapping[str, object], digits: int = 4, only: int | None = None) -> str:
    """`optimizer=adam  learning_rate=0.0123`: the last part of each key, all of it where that is not unique.

    The name of a block stands for the block.

    only   how many of them, the first ones; None: all
    """
    keys = [key.removesuffix(".name") for key in settings]
    short = [key.rpartition(".")[2] for key in keys]
    names = [last if short.count(last) == 1 else key for key, last in zip(keys, short, strict=True)]
    pairs = list(zip(names, settings.values(), strict=True))[:only]
    return "  ".join(f"{name}={setting_text(value, digits)}" for name, value in pairs)


def setting_text(value: object, digits: int = 4) -> str:
    """A value, a float with this many digits; a tab and other characters that move what is printed as YAML has them."""
    if isinstance(value, float):
        return f"{value:.{digits}g}"
    shown = isinstance(value, str) and value.isprintable() and value == value.strip()
    return value if isinstance(value, str) and shown else json.dumps(value, ensure_ascii=False)
