"""Learning curves of run folders: a metric over the steps, of each run of a group, and their mean with its interval."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from nnrun.errors import NnrunError
from nnrun.record import metrics, run
from nnrun.record.names import METRICS
from nnrun.statistics.mean import standard_widths
from nnrun.statistics.metric import ANY, Bounds

__all__ = ["Curve", "CurveBand", "band", "curves_by_run", "seed_curves"]

Curve = tuple[np.ndarray, np.ndarray]  # steps (n,) int64, values (n,) float64


class CurveBand(NamedTuple):
    """The mean of several curves and its 95% interval, at the steps of the longest; arrays (n,)."""

    steps: np.ndarray
    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray


def seed_curves(folder: Path, metric: str) -> list[Curve]:
    """The curve of a metric in a run, or in each run of a group; what cannot be read is left out."""
    return [curve for _, curve in curves_by_run(folder, metric)]


def curves_by_run(folder: Path, metric: str) -> list[tuple[Path, Curve]]:
    """The curve of a metric in a run, or in each run of a group, with its folder; what cannot be read is left out."""
    curves = []
    for member in run.members(folder) or [folder]:
        try:
            columns = metrics.columns(metrics.read(member / METRICS))
        except NnrunError:
            continue
        if metric in columns:
            curves.append((member, columns[metric]))
    return curves


def band(curves: Sequence[Curve], bounds: Bounds = ANY) -> CurveBand | None:
    """Mean and 95% interval (Student's t) at each step of the longest curve; None if there is no curve.

    bounds  the least and the most that the metric can be, where the interval ends
    A run that stopped early keeps the value it ended with; a curve that is not finite is that of a run that
    diverged, and is left out.
    """
    finite = [curve for curve in curves if np.isfinite(curve[1]).all() and len(curve[1])]
    if not finite:
        return None
    steps = max((curve[0] for curve in finite), key=len)
    rows = np.stack([values[np.searchsorted(at, steps, side="right").clip(1) - 1] for at, values in finite])
    mean, n = rows.mean(axis=0), len(rows)
    half = np.zeros_like(mean)
    if n > 1:
        half = standard_widths(n) * rows.std(axis=0, ddof=1)
    return CurveBand(steps, mean, (mean - half).clip(bounds[0]), (mean + half).clip(max=bounds[1]))
