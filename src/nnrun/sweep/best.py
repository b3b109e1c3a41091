"""best.yaml: the winning spec, written so that it trains where it lies."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nnrun import catalog
from nnrun.catalog import Spec, bound
from nnrun.spec import BLOCKS, yaml12
from nnrun.storage import fsio

__all__ = ["write_best"]


def write_best(root: Path, checked: Spec, headline: str) -> None:
    """Writes the spec into a folder, with paths made absolute and the user's own modules beside it.

    headline   what it is the best of, for its first line
    """
    value: Any = yaml12.parse(checked.document.text, "best.yaml").value
    for key in BLOCKS:
        block = getattr(checked, key)
        hints = bound.hints(block.function)
        for option, given in block.options.items():
            if given is not None and bound.is_file_path(hints[option]) and option in (value.get(key) or {}):
                value[key][option] = given  # bound options are absolute
    for file in catalog.user_files(checked):
        fsio.write_file(root / file.name, file.read_bytes())
    head = f"# {headline}\n#   nnrun train best.yaml\n"
    fsio.write_file(root / "best.yaml", (head + yaml12.dump(value)).encode())
