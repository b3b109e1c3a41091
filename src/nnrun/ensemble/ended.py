"""summary.json of an ensemble and of each of its members, and numbers as JSON has them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from nnrun.ensemble.account import CALIBRATION
from nnrun.prediction.member import Member
from nnrun.record import provenance
from nnrun.statistics.metric import SHARE
from nnrun.storage import fsio

__all__ = ["finite", "write_summary"]


def write_summary(
    folder: Path,
    members: Sequence[Member],
    step: int,
    epochs: float,
    metrics: Mapping[str, float],
    undefined: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """summary.json, with what the runs of the members say of their metrics."""
    said = [about for member in members if (about := provenance.read(member.folder).get("metrics"))]
    bounds = {name: ends for about in said for name, ends in about["bounds"].items()}
    if any(name.endswith(f"/{CALIBRATION}") for name in metrics):
        bounds[CALIBRATION] = [*SHARE]
    summary = {
        "status": "done",
        "steps": step,
        "epochs": epochs,
        "best": None,
        "rising": sorted({name for about in said for name in about["rising"]}),
        "bounds": bounds,
        **({"undefined": undefined} if undefined else {}),
        "metrics": {"last": metrics, "best": metrics},
    }
    fsio.write_json(folder / "summary.json", finite(summary))


def finite(content: Any) -> Any:
    """JSON data with every number that JSON does not have as a text."""
    if isinstance(content, Mapping):
        return {str(name): finite(value) for name, value in content.items()}
    if isinstance(content, (list, tuple)):
        return [finite(value) for value in content]
    if isinstance(content, float) and not math.isfinite(content):
        return str(content)
    return content
