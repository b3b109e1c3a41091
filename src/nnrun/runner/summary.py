"""What a finished run or population says about itself: summary.json, and the mean over seeds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nnrun.record import run
from nnrun.runner.recorder import Lane
from nnrun.statistics.mean import mean_and_interval

__all__ = ["average", "divergence", "group_summary", "lane_summary"]

_SECTIONS = ("last", "best")


def lane_summary(lane: Lane, last: Mapping[str, float], best: Mapping[str, float]) -> dict[str, Any]:
    """The content of a run's summary.json.

    last, best   test metrics of the last state and of the best by validation; {} where there is none
    """
    judged = None
    if lane.best is not None:
        judged = {"metric": lane.plan.judge, "value": lane.best.value, "step": lane.best.step}
    return {
        "status": lane.status,
        "steps": lane.step,
        "epochs": lane.step / lane.plan.steps_per_epoch,
        "best": judged,
        "metrics": {
            "last": _finite({**lane.latest, **last}),
            # Where nothing is held out, nothing is judged, and the best is the last.
            "best": _finite({**(lane.best_metrics if judged else lane.latest), **best}),
        },
    }


def _finite(metrics: Mapping[str, float]) -> dict[str, float | str]:
    """JSON has no infinities."""
    return {name: value if math.isfinite(value) else str(value) for name, value in metrics.items()}


def group_summary(folder: Path, lanes: Sequence[Lane]) -> dict[str, Any]:
    """The content of a population's summary.json: its runs, and mean and 95% interval over those that finished."""
    summaries = [run.read_json(lane.folder / "summary.json") for lane in lanes]
    return {
        "status": "done" if any(lane.status == "done" for lane in lanes) else "diverged",
        "steps": max(lane.step for lane in lanes),
        "runs": [
            {"run": lane.folder.relative_to(folder).as_posix(), **summary}
            for lane, summary in zip(lanes, summaries, strict=True)
        ],
        **average([summary["metrics"] for summary in summaries if summary["status"] == "done"]),
    }


def average(
    metrics: Sequence[Mapping[str, Mapping[str, Any]]], sections: Sequence[str] = _SECTIONS
) -> dict[str, Any]:
    """{"mean": ..., "ci95": ...} over runs, each {"last": {name: value}, "best": {name: value}}."""
    found: dict[str, Any] = {"mean": {}, "ci95": {}}
    for section in sections:
        names = set.intersection(*(set(one[section]) for one in metrics)) if metrics else set()
        for name in sorted(names):
            values = [one[section][name] for one in metrics]
            if all(isinstance(value, (int, float)) for value in values):
                mean, half = mean_and_interval(values)
                found["mean"].setdefault(section, {})[name] = mean
                found["ci95"].setdefault(section, {})[name] = half
    return found


def divergence(lanes: Sequence[Lane]) -> str:
    """Where it happened and what to try."""
    step = min(lane.step for lane in lanes)
    saved = [lane.best.step for lane in lanes if lane.best]
    kept = f"; the best state before, of step {max(saved)}, is kept" if saved else ""
    losses = [lane.latest.get("train/loss", 0.0) for lane in lanes]
    what = "the parameters or moments" if all(map(math.isfinite, losses)) else "the loss"
    remedy = "try a smaller optimizer.learning_rate, schedule.warmup=5% or optimizer.clip_norm=1"
    if "learning_rate" not in lanes[0].columns:
        remedy = "it has no learning rate to make smaller; try another one, such as lbfgs"
    return f"{what} became infinite or NaN at step {step}{kept}; {remedy}"
