"""What to do where a part of the data has no examples."""

from __future__ import annotations

from pathlib import Path

from nnrun.errors import one_line
from nnrun.preprocessing import PARTS
from nnrun.types import Dataset

__all__ = ["nothing_held_out"]


def nothing_held_out(split: str, folder: Path, dataset: Dataset) -> str:
    """That a run held nothing out for a part of the data, and which parts there are."""
    parts = [name for name in PARTS if len(getattr(dataset, name).y)]
    return f"--split {split}: {one_line(folder)} held nothing out for it; write --split {' or '.join(parts)}"
