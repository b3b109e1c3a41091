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
from nnrun.record.names import SUMMARY
from nnrun.report.summary import read_summary
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
    said = [_said_of_metrics(member.folder) for member in members]
    bounds = {name: ends for about in said for name, ends in about.get("bounds", {}).items()}
    if any(name.endswith(f"/{CALIBRATION}") for name in metrics):
        bounds[CALIBRATION] = [*SHARE]
    summary = {
        "status": "done",
        "steps": step,
        "epochs": epochs,
        "best": None,
        "rising": sorted({name for about in said for name in about.get("rising", ())}),
        "bounds": bounds,
        **({"undefined": undefined} if undefined else {}),
        "metrics": {"last": metrics, "best": metrics},
    }
    fsio.write_json(folder / SUMMARY, finite(summary))


def _said_of_metrics(folder: Path) -> Mapping[str, Any]:
    """`rising` and `bounds` as the run wrote them when it began, or, of one that had not yet, when it ended.

    Without them a reader would take the least accuracy for the best.
    """
    return provenance.read(folder).get("metrics") or read_summary(folder)


def finite(content: Any) -> Any:
    """JSON data with every number that JSON does not have as a text."""
    if isinstance(content, Mapping):
        return {str(name): finite(value) for name, value in content.items()}
    if isinstance(content, (list, tuple)):
        return [finite(value) for value in content]
    if isinstance(content, float) and not math.isfinite(content):
        return str(content)
    return content
