"""What became of a run, as a line of trials.jsonl or final.jsonl, from what its folder says."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from nnrun.record import preprocessing, run
from nnrun.record.names import RESOLVED, SUMMARY
from nnrun.record.summary import GroupSummary, MemberSummary, RunSummary
from nnrun.report.sweep.entries import FinalEntry, InStudy, Settings, TrialEntry
from nnrun.runner.status import is_over
from nnrun.sweep.batches import seconds_of
from nnrun.sweep.engine import RunBatch
from nnrun.sweep.trials import Trial

__all__ = [
    "final_record",
    "has_ended",
    "mean_value",
    "needs_no_training",
    "share_of_seconds",
    "steps_of",
    "trial_record",
    "trial_value",
]


class _SeedSummary(NamedTuple):
    """One of a run's seeds; the seed is None where the run has only one."""

    seed: int | None
    summary: RunSummary | MemberSummary


def has_ended(folder: Path) -> bool:
    """Whether a run is over and its summary written, or it failed for good."""
    if not run.is_run(folder):
        return False
    state = run.read_state(folder)
    if state["status"] == "failed":
        return not (folder / RESOLVED).exists()  # it could not even begin
    return is_over(folder)


def needs_no_training(folder: Path) -> bool:
    """Whether a run is over, or has failed and will not be tried again."""
    return has_ended(folder) or run.read_state(folder)["status"] == "failed"


def share_of_seconds(root: Path, batches: Sequence[RunBatch], place: str) -> float:
    """A run's share of the time of the batches that it was in."""
    return sum(seconds_of(root, batch, place) for batch in batches)


def trial_record(
    root: Path, trial: Trial, stopped: bool, seconds: float, settings: Settings | None = None
) -> TrialEntry:
    """A line of trials.jsonl.

    stopped   whether it lost at a rung
    settings  what it ended with, where that has changed on the way
    """
    folder = root / trial.run
    runs = _runs(folder)
    values = [_value(seed_run.summary) for seed_run in runs]
    status, reason = _status(folder, stopped)
    if status == "done" and runs and all(_is_unjudged(seed_run.summary) for seed_run in runs):
        status, reason = "failed", _why_unjudged(runs[0].summary)
    return {
        "trial": trial.name,
        "base": trial.arm.base.label,
        "alternative": trial.arm.alternative.label,
        "number": trial.number,
        "run": trial.run,
        "settings": dict(settings or trial.settings),
        "status": status,
        "value": mean_value(values),
        "values": values,
        "metrics": _metrics(runs),
        "judged_on": _judged_on(folder),
        "steps": _steps(runs),
        "risen": sum("rise" in seed_run.summary for seed_run in runs),
        "seconds": round(seconds, 3),
        "reason": reason,
        **_study(trial),
    }


def final_record(root: Path, trial: Trial, place: str, seconds: float) -> FinalEntry:
    """A line of final.jsonl.

    trial   the chosen one
    place   the folder of its run on fresh seeds, below that of the sweep
    """
    folder = root / place
    runs = _runs(folder)
    status, reason = _status(folder, False)
    return {
        "base": trial.arm.base.label,
        "alternative": trial.arm.alternative.label,
        "trial": trial.name,
        "run": place,
        "settings": trial.settings,
        "seeds": [seed_run.seed for seed_run in runs],
        "status": status,
        "metrics": _metrics(runs),
        "steps": _steps(runs),
        "risen": sum("rise" in seed_run.summary for seed_run in runs),
        "seconds": round(seconds, 3),
        "reason": reason,
        **_study(trial),
    }


def _study(trial: Trial) -> InStudy:
    """The number of its study, of those that repeat the first one."""
    return {"study": trial.arm.study} if trial.arm.study > 1 else {}


def _runs(folder: Path) -> list[_SeedSummary]:
    """The summaries of a run's seeds, in order."""
    if not (folder / SUMMARY).is_file():
        return []
    summary: RunSummary | GroupSummary = run.read_json(folder / SUMMARY)
    if "runs" not in summary:
        return [_SeedSummary(None, summary)]
    return [_SeedSummary(int(member["run"].rpartition("_")[2]), member) for member in summary["runs"]]


def _metrics(runs: Sequence[_SeedSummary]) -> dict[str, list[float | None]]:
    """Metrics of the validation and the test part at each seed's best step."""
    parts = ("test/", "val/")
    names = {
        name for seed_run in runs for name in seed_run.summary["metrics"]["best"] if name.startswith(parts)
    }
    return {name: [_number(seed_run.summary, name) for seed_run in runs] for name in sorted(names)}


def _judged_on(folder: Path) -> str | None:
    """What tells the examples that a run is judged by; None where it could not begin."""
    if not (folder / preprocessing.PREPROCESSING).is_file():
        return None
    parts = preprocessing.read(folder).parts
    return " ".join(parts[name].chosen[:16] for name in ("val", "test"))


def steps_of(folder: Path) -> int:
    """The steps of the longest of a run's seeds, 0 where none has ended."""
    return _steps(_runs(folder))


def _steps(runs: Sequence[_SeedSummary]) -> int:
    return max((seed_run.summary["steps"] for seed_run in runs), default=0)


def _value(summary: RunSummary | MemberSummary) -> float | None:
    """The metric at the best step of a run that did not diverge."""
    return summary["best"]["value"] if summary["status"] == "done" and summary["best"] else None


def _is_unjudged(summary: RunSummary | MemberSummary) -> bool:
    """Whether a run ended as it should and has no value of the metric that judges it."""
    return summary["status"] == "done" and summary["best"] is None


def _why_unjudged(summary: RunSummary | MemberSummary) -> str:
    undefined = summary.get("undefined", {})
    judges = (f"{name}: {why.partition(';')[0]}" for name, why in undefined.items() if "; so no step" in why)
    return next(judges, "no evaluation had a value")


def _number(summary: RunSummary | MemberSummary, name: str) -> float | None:
    value = summary["metrics"]["best"].get(name)
    return value if summary["status"] == "done" and isinstance(value, int | float) else None


def mean_value(values: Sequence[float | None]) -> float | None:
    """The mean over the seeds of a trial; None where one of them has no value."""
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known and len(known) == len(values) else None


def trial_value(record: TrialEntry) -> float | None:
    """What a trial is ranked by among those that may be chosen; one that was stopped may not."""
    return record["value"] if record["status"] == "done" else None


def _status(folder: Path, stopped: bool) -> tuple[str, str | None]:
    state = run.read_state(folder)
    status = state["status"]
    if status == "done":
        return ("stopped", "lost at a rung") if stopped else ("done", state.get("reason"))
    return status, state.get("reason")
