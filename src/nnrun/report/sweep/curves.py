"""Learning curves of run folders: a metric over the steps, and when it reached a target."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from nnrun.errors import NnrunError
from nnrun.record import metrics, run
from nnrun.statistics.mean import standard_widths
from nnrun.statistics.metric import ANY, Bounds, Metric
from nnrun.storage import fsio

__all__ = ["Band", "Reached", "all_reached", "band", "reached", "seed_curves"]

Curve = tuple[np.ndarray, np.ndarray]  # steps (n,) int64, values (n,) float64


class Band(NamedTuple):
    """The mean of several curves and its 95% interval, at the steps of the longest; arrays (n,)."""

    steps: np.ndarray
    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray


class Reached(NamedTuple):
    """When the seeds of a run first reached a target.

    seeds    how many did, `of` how many
    steps, seconds  medians over all seeds, infinite if half did not; seconds are those of the program in which
                all the seeds trained together, None where its clock is not known
    """

    seeds: int
    of: int
    steps: float
    seconds: float | None


def seed_curves(folder: Path, metric: str) -> list[Curve]:
    """The curve of a metric in a run, or in each run of a group; what cannot be read is left out."""
    return [curve for _, curve in _curves(folder, metric)]


def _curves(folder: Path, metric: str) -> list[tuple[Path, Curve]]:
    curves = []
    for member in run.members(folder) or [folder]:
        try:
            columns = metrics.columns(metrics.read(member / "metrics.jsonl"))
        except NnrunError:
            continue
        if metric in columns:
            curves.append((member, columns[metric]))
    return curves


def band(curves: Sequence[Curve], bounds: Bounds = ANY) -> Band | None:
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
    return Band(steps, mean, (mean - half).clip(bounds[0]), (mean + half).clip(max=bounds[1]))


def reached(folder: Path, judge: Metric, target: float) -> Reached | None:
    """When a run or group first reached the target; None if it has no curve of the metric."""
    return all_reached([folder], judge, target)


def all_reached(folders: Sequence[Path], judge: Metric, target: float) -> Reached | None:
    """When runs or groups reached the target, the seeds of all of them together."""
    steps, seconds, clocked = [], [], True
    curves = [curve for folder in folders for curve in _curves(folder, judge.name)]
    for member, (at, values) in curves:
        hits = np.flatnonzero(judge.sign * (values - target) >= 0)
        first = float(at[hits[0]]) if len(hits) else math.inf
        time = _clock(member, first)
        clocked = clocked and time is not None
        steps.append(first)
        seconds.append(math.inf if time is None else time)
    if not curves:
        return None
    count = sum(map(math.isfinite, steps))
    return Reached(count, len(steps), _median(steps), _median(seconds) if clocked else None)


def _median(values: Sequence[float]) -> float:
    """The middle value, the upper one of two: where half did not reach the target, it was not reached."""
    return sorted(values)[len(values) // 2]


def _clock(folder: Path, step: float) -> float | None:
    """Seconds of training until a step, by timing.jsonl; infinite for a step that never came, None if not known."""
    if math.isinf(step):
        return math.inf
    try:
        lines = fsio.read_file(folder / "timing.jsonl").split(b"\n")[:-1]
        records = [json.loads(line) for line in lines]
        steps, seconds = (
            [record["step"] for record in records],
            [float(record["seconds"]) for record in records],
        )
    except (NnrunError, ValueError, KeyError, TypeError):
        return None
    # The clock starts anew when a run is resumed: what such a run took is not known.
    if not steps or any(later <= earlier for earlier, later in itertools.pairwise(seconds)):
        return None
    return float(np.interp(step, [0, *steps], [0.0, *seconds]))
