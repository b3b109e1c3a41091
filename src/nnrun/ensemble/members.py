"""The members of an ensemble: which checkpoints are meant, and whether they go together.

A member that is damaged, diverged or named twice is refused by name; none is left out silently.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from nnrun import signals
from nnrun.errors import Interrupted, RunError, SpecError, Warn, one_line
from nnrun.prediction.folder import EnsembleRecord, is_ensemble, verified
from nnrun.prediction.member import Member, make_member
from nnrun.record import checkpoint, pointer, run
from nnrun.record.checkpoint import Checkpoint
from nnrun.record.names import ENSEMBLE, LEADERBOARD
from nnrun.report.summary import read_summary, rises
from nnrun.report.sweep.folder import is_sweep
from nnrun.runner import group
from nnrun.runner.evaluation import load_intact

__all__ = ["apart", "check_choice", "find"]

_CHOICES = ("last", "best", "all", "cycle")


def check_choice(checkpoints: str) -> None:
    """Raises SpecError unless `checkpoints` is last, best, all, cycle, or steps with commas between."""
    if checkpoints not in _CHOICES and not re.fullmatch(r"[0-9]+(,[0-9]+)*", checkpoints):
        raise SpecError(
            f"--checkpoints: got {one_line(checkpoints, 40)!r}; write {', '.join(_CHOICES)}, or steps: 100,200"
        )


def find(texts: Sequence[str], root: Path, checkpoints: str, top: int | None, warn: Warn) -> list[Member]:
    """The members that are meant, by rising SHA-256.

    texts        runs, groups, sweeps, ensembles; behind each :STEP, :AVERAGE or both
    checkpoints  which of a run: last, best, all, cycle, or steps with commas between
    top          how many of the best trials of a sweep
    Raises SpecError, and RunError with a line for each member that is missing, damaged, diverged, named twice
    or trained on other data than the first; Interrupted.
    """
    check_choice(checkpoints)
    members: list[Member] = []
    problems: list[str] = []
    sweeps = 0
    for text in texts:
        try:
            folder, step, average = _resolve(text, root)
            sweeps += _is_sweep(folder)
            runs = list(_runs(folder, top))
        except RunError as error:
            problems.append(str(error))
            continue
        for path in runs:
            try:
                members += _checkpoints(path, step or checkpoints, average, warn)
            except RunError as error:
                problems.append(str(error))
    if top is not None and not sweeps and not problems:
        raise SpecError("--top: none of the members is a sweep; leave it out, or name a sweep")
    problems += apart(members)
    if problems:
        raise RunError("\n".join(problems))
    return sorted(members, key=lambda member: member.sha256)


def _resolve(text: str, root: Path) -> tuple[Path, str | None, str | None]:
    """The folder of a run, group or sweep, and the step and the average behind colons if there are any."""
    name, step, average = pointer.split(text, root)
    for path in (Path(name), root / name):
        if _is_sweep(path):
            return path, step, average
    return run.resolve(name, root), step, average


def _is_sweep(folder: Path) -> bool:
    return (folder / LEADERBOARD).is_file() or is_sweep(folder)


def _runs(folder: Path, top: int | None) -> Iterator[Path]:
    """The single runs that a folder stands for."""
    if _is_sweep(folder):
        for path in _best_trials(folder, top):
            yield from _runs(path, None)
        return
    if is_ensemble(folder):
        record: EnsembleRecord = run.read_json(folder / ENSEMBLE)
        yield from verified(folder, record.get("members"), str(record.get("kind")))
        return
    inside = group.members(folder)
    if not inside:
        yield folder
    for path in inside:
        yield from _runs(path, None)


def _best_trials(folder: Path, top: int | None) -> list[Path]:
    if top is None:
        raise SpecError(f"{one_line(folder)}: a sweep; write --top 5 for its five best trials")
    if not (folder / LEADERBOARD).is_file():
        shown = one_line(folder)
        raise RunError(f"{shown}: the sweep is not finished; `nnrun sweep --resume {shown}` continues it")
    trials = run.read_json(folder / LEADERBOARD).get("trials")
    try:
        done = [folder / trial["run"] for trial in trials or () if trial["status"] == "done"]
    except (KeyError, TypeError):
        raise RunError(f"{one_line(folder / LEADERBOARD)}: damaged; restore it") from None
    if len(done) < top:
        raise RunError(
            f"{one_line(folder)}: --top {top}: the sweep has {len(done)} finished trials; write fewer"
        )
    return done[:top]


def _checkpoints(folder: Path, which: str, average: str | None, warn: Warn) -> Iterator[Member]:
    """The members that a run contributes."""
    status = run.status(folder)
    if status == "diverged":
        raise RunError(f"{one_line(folder)}: diverged, so it cannot be a member; name the others")
    for warning in rises(read_summary(folder)):
        warn(f"{one_line(folder)}: {warning.removeprefix('warning: ')}")
    steps = checkpoint.steps(folder / "checkpoints")
    if status != "done" and steps:  # without any, loading them says so
        warn(f"{one_line(folder)}: is not finished ({status}); its newest checkpoints are taken")
    if (folder.parent / ENSEMBLE).is_file() and which in _CHOICES:
        which = "last"  # a member of an ensemble has one checkpoint
    if which == "all" and steps:
        chosen = [str(step) for step in steps]
    elif which == "cycle":
        chosen = _ends(folder, load_intact(folder, "last"))
    else:
        chosen = which.split(",")
    for step in chosen:
        if signals.pending():
            raise Interrupted(signals.pending(), "interrupted while looking for members; nothing was written")
        yield make_member(folder, load_intact(folder, step), average)


def _ends(folder: Path, last: Checkpoint) -> list[str]:
    """The steps at which the schedule's cycles have ended so far."""
    ends = [step for step in last.progress.get("kept", ()) if step <= last.step]
    if not ends:
        raise RunError(
            f"{one_line(folder)}: no ends of cycles are kept; train with checkpoint.keep=cycle_ends and "
            "schedule cosine_restarts, or write steps: --checkpoints 100,200"
        )
    return [str(step) for step in ends]


def apart(members: Sequence[Member]) -> list[str]:
    """A line for each member that is named twice, or was trained on other data than the first."""
    first: dict[str, Member] = {}
    problems = []
    for member in members:
        same = first.setdefault(member.content, member)
        if same is not member:
            problems.append(f"{member.place}: the same as {same.place}; name it once")
        elif member.data != members[0].data:
            shown = f"{one_line(member.data, 13)} and {one_line(members[0].data, 13)}"
            problems.append(
                f"{member.place}: trained on other data than {one_line(members[0].folder)} (digests {shown}); "
                "members must share data, its split and data.examples"
            )
    return problems
