"""What a run folder lacks of what a sweep needs of it, and how a run is taken back to its beginning."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from nnrun.errors import RunError
from nnrun.record import checkpoint, metrics, run
from nnrun.record.names import EXAMPLES, METRICS, PROVENANCE, RESOLVED, SPEC, SUMMARY, TIMING
from nnrun.runner.evaluation import load_checkpoint
from nnrun.runner.restore import ENDED
from nnrun.runner.session import recorded
from nnrun.runner.status import group_of
from nnrun.storage import fsio
from nnrun.sweep.moment import has_own_spec

__all__ = ["flaw", "rewind", "unmeasured"]

_DESCRIPTIONS = (RESOLVED, SPEC, PROVENANCE)
_GROWN = (
    "checkpoints",
    METRICS,
    TIMING,
    SUMMARY,
    EXAMPLES,
)  # what training leaves in a run folder


def flaw(folder: Path, seeds: Sequence[int], metric: str) -> str | None:
    """The first file that a run lacks or that cannot be read, None if it can be used or continued.

    Checkpoints are only asked for where the run has not ended: a finished sweep does not need them.
    metric   that judges the run
    """
    group = group_of(folder, seeds)
    try:
        for path in dict.fromkeys((folder, *group.members)):
            run.read_state(path)
            for name in _DESCRIPTIONS:
                fsio.read_file(path / name)
            recorded(path)
            if not has_own_spec(path):
                return _name(path / RESOLVED, folder)
        status = run.read_state(folder)["status"]
        if status == "failed":
            return None
        if status not in ENDED:
            return next(filter(None, (_open_flaw(path, folder, metric) for path in group.members)), None)
        for path in dict.fromkeys((folder, *group.members)):
            run.read_json(path / SUMMARY)
        return next((_name(path / METRICS, folder) for path in group.members if not _has_log(path)), None)
    except RunError as error:
        return str(error).partition(": ")[0].removeprefix(f"{folder}/")


def unmeasured(folder: Path) -> str | None:
    """The checkpoints that a run on fresh seeds lacks, so that it cannot be measured on resamples of the examples.

    None where it has been, or has not ended, or a seed of it diverged.
    """
    paths = run.members(folder) or [folder]
    if (folder / EXAMPLES).is_file() or any(run.status(path) != "done" for path in paths):
        return None
    for path in paths:
        try:
            load_checkpoint(path, "best", lambda message: None)
        except RunError:
            return _name(path / "checkpoints", folder)
    return None


def _name(path: Path, folder: Path) -> str:
    return path.relative_to(folder).as_posix()


def _has_log(path: Path) -> bool:
    return (path / METRICS).is_file()


def _open_flaw(path: Path, folder: Path, metric: str) -> str | None:
    """What a member lacks of a run that has not ended: it may have ended before the others."""
    status = run.read_state(path)["status"]
    saved = checkpoint.steps(path / "checkpoints")
    if not _has_log(path) and (saved or status in ENDED):
        return _name(path / METRICS, folder)
    judged = status == "diverged" and any(
        isinstance(value := row.get(metric), int | float) and math.isfinite(value)
        for row in metrics.read(path / METRICS)
    )
    if not saved:
        return _name(path / "checkpoints", folder) if judged or status == "done" else None
    latest = checkpoint.load_latest(path / "checkpoints", lambda message: None)
    best = latest.progress.get("best") if latest else None
    if best is None or best["step"] in saved:
        return None
    return _name(
        checkpoint.step_folder(path / "checkpoints", best["step"]), folder
    )  # it is tested at the end


def rewind(folder: Path) -> None:
    """Takes a run back to its beginning; what it is stays."""
    for path in (folder, *run.members(folder)):
        run.write_state(path, "created", step=0)
        for name in _GROWN:
            if (path / name).is_dir():
                fsio.remove_folder(path / name)
            elif (path / name).exists():
                fsio.remove_file(path / name)
