"""What is missing of runs that a sweep has trained, and what must be trained again because of that.

A marker that a batch is done counts only together with what it marks.  When a sweep continues, each round is looked
at once before any of it is trained: what was deleted is made anew, and the batches that it was in are carried out
again, with the same lanes.  Runs that are intact keep their places in these programs and are not trained twice.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from nnrun.record import checkpoint, run
from nnrun.runner.restore import ENDED
from nnrun.storage import fsio
from nnrun.sweep import batches, exploit
from nnrun.sweep.engine import RunBatch
from nnrun.sweep.flaws import rewind
from nnrun.sweep.records import steps_of

__all__ = ["correct_markers", "reopen_round"]


def reopen_round(root: Path, name: str, runs: Sequence[str], rungs: bool, exploits: bool) -> list[str]:
    """Withdraws what a round says beyond what its run folders hold, so that it is trained again.

    name       of the round
    runs       of its trials whose folders exist
    rungs      whether its trials are compared on the way: a run that is trained again then needs the others of its
               programs where they were, so those that have not ended are trained again as well
    exploits   whether trials take the states of others: then all of them are trained again
    Returns the runs that are trained again.
    """
    for path in (path for run_name in runs if exploits for path in _members(root / run_name)):
        exploit.complete(path)
    if rungs and _has_gap(root, name, runs, exploits):
        _forget(root, name)
        begun = [run_name for run_name in runs if _reached(root / run_name)]
        for run_name in begun:
            rewind(root / run_name)
        return begun
    planned = [batch for batch in _planned(root, name) if set(batch.runs) <= set(runs)]
    lost = {
        run_name
        for batch in planned
        for run_name in batch.runs
        if (batches.is_done(root, batch) and not _is_where_left(root / run_name, batch))
        or (not batches.is_done(root, batch) and not _has_ended(root / run_name) and _is_stuck(root, batch))
    }
    if lost:
        if exploits:
            for file in (root / "batches").glob(f"{name}-s*-exploit*.json"):
                fsio.remove_file(file)
        together = {run_name for batch in planned for run_name in batch.runs} if rungs else lost
        lost |= {run_name for run_name in together if exploits or not _has_ended(root / run_name)}
        for run_name in sorted(lost):
            rewind(root / run_name)
    correct_markers(root, planned)
    return sorted(lost)


def correct_markers(root: Path, planned: Sequence[RunBatch]) -> None:
    """Has the markers of batches say what the run folders of their runs hold."""
    for batch in (part for whole in planned for part in batches.parts(root, whole)):
        if batches.is_done(root, batch) and not all(
            _is_where_left(root / name, batch) for name in batch.runs
        ):
            batches.unmark(root, batch)
        elif not batches.is_done(root, batch) and all(_has_ended(root / name) for name in batch.runs):
            batches.mark(root, batch, 0.0)  # nothing of it is left to train


def _has_gap(root: Path, name: str, runs: Sequence[str], exploits: bool) -> bool:
    """Whether something that was decided at the rungs of a round is no longer written down.

    The plan of a stage, its values and what follows from them are written one after another, each before a run goes
    further; so none is missing before one that is there, and no run is further than the last one lets it be.
    """
    folder = root / "batches"
    last = max(
        (stage for file in folder.glob(f"{name}-s*") if (stage := _stage_of(file, name)) >= 0), default=-1
    )
    follows = "-exploit.done.json" if exploits else "x.json"
    chain = [
        folder / f"{name}-s{stage}{ending}"
        for stage in range(last + 2)
        for ending in (".json", ".rung.json", follows)
    ]
    present = [file.is_file() for file in chain]
    first = present.index(False)
    if any(present[first:]):
        return True
    newest = {
        run_name: (int(batch.name.removeprefix(f"{name}-s").partition("-")[0]), batch.until)
        for batch in _planned(root, name)
        if not batch.final
        for run_name in batch.runs
    }
    for run_name in runs:
        stage, until = newest.get(run_name, (0, 0))
        step, ended = _reached_and_ended(root / run_name)
        decided = first >= 3 * (stage + 1)
        if until is not None and (step > until or (ended and step == until and not decided)):
            return True
    return False


def _stage_of(file: Path, name: str) -> int:
    """The number of the stage that a file is of, -1 for a marker of a batch."""
    match = re.fullmatch(
        rf"{re.escape(name)}-s(\d+)(\.json|\.rung\.json|x\.json|-exploit\.done\.json)", file.name
    )
    return int(match[1]) if match else -1


def _forget(root: Path, name: str) -> None:
    """Removes what is written down of a round, but how its batches had to be cut."""
    for file in (root / "batches").glob(f"{name}-s*.json"):
        if not file.name.endswith(".cut.json"):
            fsio.remove_file(file)


def _reached_and_ended(folder: Path) -> tuple[int, bool]:
    """The step of a run's seed that is furthest, and whether the run has ended without diverging."""
    done = run.read_state(folder)["status"] == "done"
    return (steps_of(folder) if done else _reached(folder)), done


def _reached(folder: Path) -> int:
    """The newest step of a run that is saved or has ended."""
    return max([steps_of(folder), *(step for path in _members(folder) for step in _saved(path))])


def _planned(root: Path, name: str) -> Iterator[RunBatch]:
    """The batches of a round that are written down, as the parts that they were cut into."""
    folder = root / "batches"
    for file in sorted([*folder.glob(f"{name}-s*.json"), *folder.glob(f"{name}.json")]):
        for written in run.read_json(file).get("batches", []):
            yield from batches.parts(root, RunBatch(**written))


def _has_ended(folder: Path) -> bool:
    return run.read_state(folder)["status"] in ENDED


def _members(folder: Path) -> list[Path]:
    return run.members(folder) or [folder]


def _is_where_left(folder: Path, batch: RunBatch) -> bool:
    """Whether a run is where a batch that is done left it, or further."""
    if run.read_state(folder)["status"] in (*ENDED, "failed"):
        return True
    if batch.until is None or batch.final:
        return False
    return all(
        run.read_state(path)["status"] in ENDED or max(_saved(path), default=0) >= batch.until
        for path in _members(folder)
    )


def _saved(path: Path) -> set[int]:
    return set(checkpoint.steps(path / "checkpoints"))


def _is_stuck(root: Path, batch: RunBatch) -> bool:
    """Whether runs that continue together have no checkpoint of one step, though all of them have some."""
    going = [
        _saved(path)
        for run_name in batch.runs
        for path in _members(root / run_name)
        if run.read_state(path)["status"] not in ENDED
    ]
    if batch.until is not None and not batch.final:
        going = [steps for steps in going if max(steps, default=0) < batch.until]
    return bool(going) and all(going) and not set.intersection(*going)
