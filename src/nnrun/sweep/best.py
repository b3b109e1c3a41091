"""best.yaml: the winning spec, written so that it trains where it lies."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nnrun import catalog
from nnrun.catalog import Spec, bound
from nnrun.record.names import BEST
from nnrun.spec import BLOCKS, yaml12
from nnrun.storage import fsio

__all__ = ["write_best"]


def write_best(root: Path, checked: Spec, headline: str) -> None:
    """Writes the spec into a folder, with paths made absolute; beside it the user's modules and what they import.

    headline   what it is the best of, for its first line
    """
    value: Any = yaml12.parse(checked.document.text, BEST).value
    for key in BLOCKS:
        block = getattr(checked, key)
        hints = bound.hints(block.function)
        for option, given in block.options.items():
            if given is not None and bound.is_file_path(hints[option]) and option in (value.get(key) or {}):
                value[key][option] = given  # bound options are absolute
    home = checked.document.folder
    for file in catalog.imported_files(checked):
        copy = root / file.relative_to(home)
        fsio.make_folders(copy.parent)
        fsio.write_file(copy, file.read_bytes())
    head = f"# {headline}\n#   nnrun train best.yaml\n"
    fsio.write_file(root / BEST, (head + yaml12.dump(value)).encode())
