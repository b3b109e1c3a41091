"""The members of an ensemble: which checkpoints are meant, and whether they go together.

A member is refused by name: nothing that is damaged, diverged or there twice is left out in silence.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from nnrun.errors import RunError, SpecError, one_line
from nnrun.evaluation import load_checkpoint
from nnrun.record import checkpoint, fsio, run
from nnrun.record.checkpoint import Checkpoint
from nnrun.record.pack import ARRAYS
from nnrun.report.sweep_folder import is_sweep

__all__ = ["RECORD", "Member", "check_choice", "find", "load", "predictive"]

RECORD = "ensemble.json"  # what makes a run folder one of an ensemble
_LEADERBOARD = "leaderboard.json"
_CHOICES = ("last", "best", "all", "cycle")
_PREDICTIVE = ("params/", "stats/", "knobs/model/")
_AT = re.compile(r"(.+):([0-9]+|last|best)")
Warn = Callable[[str], None]


class Member(NamedTuple):
    """One checkpoint of one run."""

    folder: Path  # the run
    step: int
    sha256: str  # of its arrays.safetensors: members are ordered by it, whatever order they are named in
    content: str  # SHA-256 of what predictions depend on
    data: str  # digest of the data that the run was trained on
    origin: bytes  # the run's key and the hash of its spec: members that share it are snapshots of one run

    @property
    def path(self) -> Path:
        """The folder of the checkpoint."""
        return self.folder / "checkpoints" / f"step_{self.step:08d}"

    @property
    def name(self) -> str:
        """How a table calls it."""
        inside = self.folder.name.startswith(("seed_", "member_")) or self.folder.parent.name == "trials"
        folder = f"{self.folder.absolute().parent.name}/{self.folder.name}" if inside else self.folder.name
        return one_line(f"{folder}:{self.step}", 80)


def check_choice(checkpoints: str) -> None:
    """Raises SpecError unless `checkpoints` is last, best, all, cycle, or steps with commas between."""
    if checkpoints not in _CHOICES and not re.fullmatch(r"[0-9]+(,[0-9]+)*", checkpoints):
        raise SpecError(
            f"--checkpoints: got {one_line(checkpoints, 40)!r}; write {', '.join(_CHOICES)}, or steps: 100,200"
        )


def find(texts: Sequence[str], root: Path, checkpoints: str, top: int | None, warn: Warn) -> list[Member]:
    """The members that are meant, by rising SHA-256.

    texts        runs, groups, sweeps, ensembles, or RUN:STEP
    checkpoints  which of a run: last, best, all, cycle, or steps with commas between
    top          how many of the best trials of a sweep
    Raises SpecError, and RunError with a line for each member that is missing, damaged, diverged, there twice
    or was trained on other data than the first.
    """
    check_choice(checkpoints)
    found: list[Member] = []
    problems: list[str] = []
    sweeps = 0
    for text in texts:
        try:
            folder, step = _resolve(text, root)
            sweeps += _is_sweep(folder)
            runs = list(_runs(folder, top))
        except RunError as error:
            problems.append(str(error))
            continue
        for path in runs:
            try:
                found += _checkpoints(path, step or checkpoints, warn)
            except RunError as error:
                problems.append(str(error))
    if top is not None and not sweeps and not problems:
        raise SpecError("--top: none of the members is a sweep; leave it out, or name a sweep")
    problems += _apart(found)
    if problems:
        raise RunError("\n".join(problems))
    return sorted(found, key=lambda member: member.sha256)


def _resolve(text: str, root: Path) -> tuple[Path, str | None]:
    """The folder of a run, group or sweep, and the step behind the colon if there is one."""
    for path in (Path(text), root / text):
        if _is_sweep(path):
            return path, None
    at = _AT.fullmatch(text)
    if at and not run.is_run(Path(text)):
        return run.resolve(at[1], root), at[2]
    return run.resolve(text, root), None


def _is_sweep(folder: Path) -> bool:
    return (folder / _LEADERBOARD).is_file() or is_sweep(folder)


def _runs(folder: Path, top: int | None) -> Iterator[Path]:
    """The single runs that a folder stands for."""
    if _is_sweep(folder):
        for path in _best_trials(folder, top):
            yield from _runs(path, None)
        return
    inside = run.members(folder)
    if not inside:
        yield folder
    for path in inside:
        yield from _runs(path, None)


def _best_trials(folder: Path, top: int | None) -> list[Path]:
    if top is None:
        raise SpecError(f"{one_line(folder)}: a sweep; write --top 5 for its five best trials")
    if not (folder / _LEADERBOARD).is_file():
        shown = one_line(folder)
        raise RunError(f"{shown}: the sweep is not finished; `nnrun sweep --resume {shown}` goes on with it")
    trials = run.read_json(folder / _LEADERBOARD).get("trials")
    try:
        done = [folder / one["run"] for one in trials or () if one["status"] == "done"]
    except (KeyError, TypeError):
        raise RunError(f"{one_line(folder / _LEADERBOARD)}: damaged; restore it") from None
    if len(done) < top:
        raise RunError(
            f"{one_line(folder)}: --top {top}: the sweep has {len(done)} finished trials; write fewer"
        )
    return done[:top]


def _checkpoints(folder: Path, which: str, warn: Warn) -> Iterator[Member]:
    """The members that a run contributes."""
    status = run.status(folder)
    if status == "diverged":
        raise RunError(f"{one_line(folder)}: diverged, so it cannot be a member; name the others")
    if status != "done":
        warn(f"{one_line(folder)}: is not finished ({status}); its members are those of now")
    steps = checkpoint.steps(folder / "checkpoints")
    if (folder.parent / RECORD).is_file() and which in _CHOICES:
        which = "last"  # a member of an ensemble has one checkpoint
    if which == "all" and steps:
        chosen = [str(step) for step in steps]
    elif which == "cycle":
        chosen = _ends(folder, load(folder, "last"))
    else:
        chosen = which.split(",")
    for one in chosen:
        yield _member(folder, load(folder, one))


def _ends(folder: Path, last: Checkpoint) -> list[str]:
    """The steps at which the schedule's cycles have ended so far."""
    ends = [step for step in last.progress.get("kept", ()) if step <= last.step]
    if not ends:
        raise RunError(
            f"{one_line(folder)}: no ends of cycles are kept; train with checkpoint.keep=cycle_ends and "
            "schedule cosine_restarts, or write steps: --checkpoints 100,200"
        )
    return [str(step) for step in ends]


def load(folder: Path, which: str) -> Checkpoint:
    """A checkpoint of a run that is not damaged.

    which   last, best, or a step
    Raises RunError; one before a damaged one would be another member than was meant.
    """

    def refuse(message: str) -> None:
        raise RunError(message.removesuffix("; skipped this checkpoint"))

    return load_checkpoint(folder, which, refuse)


def _member(folder: Path, content: Checkpoint) -> Member:
    arrays = predictive(content.arrays)
    for name, array in arrays.items():
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise RunError(f"{one_line(folder)}: step {content.step}: {name} is not finite; name the others")
    file = folder / "checkpoints" / f"step_{content.step:08d}" / ARRAYS
    about = run.read_json(folder / "run.json")
    key = content.arrays["key"].tobytes() if "key" in content.arrays else b""
    return Member(
        folder=folder,
        step=content.step,
        sha256=hashlib.sha256(fsio.read_file(file)).hexdigest(),
        content=_digest(arrays),
        data=str(about.get("data_digest")),
        origin=key + str(about.get("spec_hash")).encode(),
    )


def predictive(arrays: Mapping[str, Any]) -> dict[str, Any]:
    """Those arrays of a checkpoint that its predictions depend on."""
    return {name: array for name, array in sorted(arrays.items()) if name.startswith(_PREDICTIVE)}


def _digest(arrays: Mapping[str, np.ndarray]) -> str:
    digest = hashlib.sha256()
    for name, array in arrays.items():
        digest.update(f"{name} {array.dtype.name} {array.shape}\n".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def _apart(found: Sequence[Member]) -> list[str]:
    """A line for each member that is there twice, or was trained on other data than the first."""
    first: dict[str, Member] = {}
    problems = []
    for member in found:
        same = first.setdefault(member.content, member)
        place = f"{one_line(member.folder)}: step {member.step}"
        if same is not member:
            problems.append(f"{place}: the same as {one_line(same.folder)}: step {same.step}; name it once")
        elif member.data != found[0].data:
            shown = f"{one_line(member.data, 13)} and {one_line(found[0].data, 13)}"
            problems.append(
                f"{place}: trained on other data than {one_line(found[0].folder)} (digests {shown}); "
                "members must share data, its split and data.examples"
            )
    return problems
