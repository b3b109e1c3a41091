"""examples.json of a run on fresh seeds: its metrics in resamples of the examples that it is measured on."""

from __future__ import annotations

from pathlib import Path
from typing import TypedDict

import numpy as np

from nnrun.errors import RunError
from nnrun.record import run

__all__ = ["ExamplesFile", "read_examples"]

EXAMPLES = "examples.json"
FORMAT = 1


class ExamplesFile(TypedDict):
    """The content of examples.json."""

    format: int
    part: str  # test or val
    draws: int
    metrics: dict[str, list[float]]  # name -> mean over the seeds, in each draw


def read_examples(folder: Path, metric: str) -> np.ndarray | None:
    """The metric in each resample, (draws,); None where it is not known."""
    if not (folder / EXAMPLES).is_file():
        return None
    try:
        content: ExamplesFile = run.read_json(folder / EXAMPLES)
        values = content["metrics"].get(metric) if content["format"] == FORMAT else None
    except (RunError, KeyError, AttributeError):
        return None
    return None if values is None else np.asarray(values, np.float64)
