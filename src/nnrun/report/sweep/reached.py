"""When runs reached a target: in steps, and in seconds by their clocks."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from nnrun.errors import NnrunError
from nnrun.record.names import TIMING
from nnrun.report.curves import curves_by_run
from nnrun.statistics.metric import Metric
from nnrun.storage import fsio

__all__ = ["Reached", "all_reached", "reached"]


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


def reached(folder: Path, judge: Metric, target: float) -> Reached | None:
    """When a run or group first reached the target; None if it has no curve of the metric."""
    return all_reached([folder], judge, target)


def all_reached(folders: Sequence[Path], judge: Metric, target: float) -> Reached | None:
    """When runs or groups reached the target, the seeds of all of them together."""
    steps, seconds, clocked = [], [], True
    curves = [curve for folder in folders for curve in curves_by_run(folder, judge.name)]
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
        lines = fsio.read_file(folder / TIMING).split(b"\n")[:-1]
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
