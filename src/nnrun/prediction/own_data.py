"""Whether examples to measure on are those that a run was trained on."""

from __future__ import annotations

import filecmp
from pathlib import Path

from nnrun import spec
from nnrun.errors import NnrunError, Warn, one_line
from nnrun.record.names import RESOLVED

__all__ = ["warn_of_own_data"]


def warn_of_own_data(folder: Path, source: Path, warn: Warn) -> None:
    """Warns where `source` is the file of the run's own data, or a copy of it: metrics on it are those of training.

    folder   of a run, a group or an ensemble
    """
    try:
        data = spec.read(folder / RESOLVED).blocks["data"].get("path")
        if not isinstance(data, str) or not source.is_file() or not Path(data).is_file():
            return
        is_own = source.samefile(data) or filecmp.cmp(source, data, shallow=False)
    except (NnrunError, OSError, KeyError):
        return  # nothing is known of its data
    if is_own:
        warn(
            f"{one_line(source)}: the run was trained on most of these examples; without a file its test part is "
            "measured"
        )
