"""examples.json of a run on fresh seeds: its metrics in resamples of the examples that it is measured on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from typing_extensions import TypedDict

from nnrun.errors import RunError
from nnrun.record import run
from nnrun.record.names import EXAMPLES

__all__ = ["ExamplesFile", "read_examples"]

FORMAT = 1


class ExamplesFile(TypedDict):
    """The content of examples.json."""

    format: int
    part: str  # test or val
    draws: int
    metrics: dict[str, list[float]]  # name -> mean over the seeds, in each draw


def read_examples(folder: Path, metric: str) -> np.ndarray | None:
    """The metric in each resample, (draws,); None where it is not known, or the file is damaged."""
    if not (folder / EXAMPLES).is_file():
        return None
    try:
        content: ExamplesFile = run.read_json(folder / EXAMPLES)
        if content["format"] != FORMAT:
            return None
        values = np.asarray(content["metrics"][metric], np.float64)
    except (RunError, KeyError, AttributeError, TypeError, ValueError):
        return None
    return values if values.ndim == 1 and len(values) > 1 and np.isfinite(values).all() else None
